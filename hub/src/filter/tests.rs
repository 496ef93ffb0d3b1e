use super::{Properties, PropertyFilter};

fn broker() -> Properties {
    let mut properties = Properties::new();
    properties.insert("id", "a*(b)\\ Käse");
    properties.insert("host", "broker.local");
    properties.insert("port", 8883);
    properties
}

fn matches(filter: &str) -> bool {
    filter.parse::<PropertyFilter>().unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&broker())
}

#[test]
fn comparisons() {
    let yes = [
        "",
        "  ",
        "(host=broker.local)",
        "( host =broker.local)",
        "(HOST=broker.local)",
        "(port=8883)",
        "(port>=8883)",
        "(port<=8883)",
        "(port>=900)",
        "(port>8882)",
        "(port<10000)",
        "(host>=broker)",
        "(host<=c)",
        "(host~=Broker . LOCAL)",
        "(port~=8883)",
        "(host=*)",
        "(host=broker*)",
        "(host=*local)",
        "(host=b*k*.*l)",
        "(host=*r*.*)",
        "(port=8*3)",
        "(id=a\\2a\\28b\\29\\5c K\\c3\\a4se)",
        "(id=a\\*\\(b\\)\\\\ Käse)",
        "(id=*\\2a*\\5c*)",
    ];
    for filter in yes {
        assert!(matches(filter), "{filter}");
    }
    let no = [
        "(host=Broker.local)",
        "(host=broker)",
        "(port=883)",
        "(port=eight)",
        "(port>=eight)",
        "(port>8883)",
        "(port<8883)",
        "(port>=8884)",
        "(port<=8882)",
        "(nothing=*)",
        "(nothing=)",
        "(nothing>=0)",
        "(nothing~=x)",
        "(host=broker.local*broker.local)",
        "(host=*l*b*)",
        "(id=a*z*)",
        "(id=a\\2a)",
    ];
    for filter in no {
        assert!(!matches(filter), "{filter}");
    }
}

#[test]
fn combinations() {
    assert!(matches("(&(host=*.local)(port>=8000)(!(port=1883)))"));
    assert!(matches("(| (host=nowhere) ( & (port=8883) (id=a*) ) )"));
    assert!(matches("(!(nothing=*))"));
    assert!(matches("(!(nothing=1))"));
    assert!(!matches("(&(host=*.local)(port=1883))"));
    assert!(!matches("(|(host=nowhere)(port=1883))"));
    assert!(!matches("(!(host=*))"));
    assert!(!matches("(!(&(host=*)(port=8883)))"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        ("host=broker", 1, "begins with `(`"),
        ("(host=broker", 13, "`)` is missing"),
        ("(host=broker))", 14, "something follows"),
        ("(host=a)(port=1)", 9, "something follows"),
        ("(&)", 3, "at least one"),
        ("(|  )", 5, "at least one"),
        ("(!)", 3, "begins with `(`"),
        ("(=x)", 2, "name of a property"),
        ("()", 2, "name of a property"),
        ("(host)", 6, "comparison is missing"),
        ("(host~x)", 6, "comparison is missing"),
        ("(port>=1*)", 8, "after `=` only"),
        ("(Käse=a(b)", 8, "written \\28"),
        ("(id=\\zz)", 6, "two hexadecimal digits"),
        ("(id=\\", 6, "two hexadecimal digits"),
        ("(id=\\ff)", 9, "not UTF-8"),
    ];
    for (filter, column, message) in cases {
        let error = filter.parse::<PropertyFilter>().expect_err(filter);
        assert!(error.message.contains(message), "{filter}: {error}");
        assert_eq!(error.column, column, "{filter}: {error}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}(port=8883){}", "(!".repeat(depth), ")".repeat(depth));
    assert!(!matches(&nested(31)));
    let error = nested(32).parse::<PropertyFilter>().unwrap_err();
    assert!(error.to_string().contains("32 levels"), "{error}");
    assert!(nested(100_000).parse::<PropertyFilter>().is_err());
    let error = format!("(id={})", "x".repeat(16 * 1024)).parse::<PropertyFilter>().unwrap_err();
    assert!(error.to_string().contains("16 KiB"), "{error}");
}

#[test]
fn what_a_property_must_be() {
    let demanded = |filter: &str| {
        let filter: PropertyFilter = filter.parse().unwrap();
        filter.demands("id").map(str::to_owned)
    };
    for filter in ["(id=a)", "(ID=a)", "(&(host=b)(id=a))", "(&(host=b)(&(port=*)(id=a)))"] {
        assert_eq!(demanded(filter).as_deref(), Some("a"), "{filter}");
    }
    for filter in ["", "(host=a)", "(id=*)", "(id=a*)", "(id~=a)", "(id>=a)", "(!(id=a))", "(|(id=a)(id=b))"]
    {
        assert_eq!(demanded(filter), None, "{filter}");
    }
}
