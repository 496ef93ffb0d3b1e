use jiff::{Timestamp, Zoned, tz::TimeZone};
use packetboat::{PropertiesBuf, QoS};

use super::{NotJson, Template, View};

fn now() -> Zoned {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    Timestamp::new(1_470_818_943, 786_368_637).unwrap().to_zoned(zone)
}

fn properties() -> PropertiesBuf {
    let mut block = PropertiesBuf::new();
    block.payload_format_indicator(true).message_expiry_interval(60);
    block.content_type("text/plain").unwrap().response_topic("answers").unwrap();
    block.correlation_data(b"\xff\0").unwrap().subscription_identifier(7).unwrap();
    block.topic_alias(3).unwrap();
    block.user_property("k", "v").unwrap().user_property("k2", "v\"2").unwrap();
    block
}

fn rendered(format: &str, payload: &[u8], block: &PropertiesBuf) -> Result<Vec<u8>, NotJson> {
    let view = View {
        topic: "b\u{e4}/t",
        payload,
        qos: QoS::AtLeastOnce,
        retain: true,
        packet_identifier: 9,
        properties: block.as_properties(),
    };
    let mut out = Vec::new();
    Template::parse(format).unwrap().render_at(&view, &now(), &mut out)?;
    Ok(out)
}

fn text(format: &str) -> String {
    String::from_utf8(rendered(format, b"abc", &properties()).unwrap()).unwrap()
}

#[test]
fn every_field_has_its_escape() {
    assert_eq!(text("%t %p %q %r %l %m %%"), "b\u{e4}/t abc 1 1 3 9 %");
    assert_eq!(text("%x %X"), "616263 616263");
    assert_eq!(text("%A|%C|%E|%F|%P|%R|%S"), "3|text/plain|60|1|k:v k2:v\"2|answers|7");
    assert_eq!(text("%I %U"), "2016-08-10T09:49:03+0100 1470818943.786368637");
    assert_eq!(text("@Y-@m-@d @H:@M:@S.@N @@ @z"), "2016-08-10 09:49:03.786368637 @ +0100");
    assert_eq!(text(r"\\ \0\a\e\n\r\t\v"), "\\ \0\x07\x1b\n\r\t\x0b");
    assert_eq!(rendered("%D", b"", &properties()).unwrap(), b"\xff\0");
    assert_eq!(rendered("%x%X", b"\xab\0", &properties()).unwrap(), b"ab00AB00");
    assert_eq!(rendered("%p", b"\xff\0\n", &properties()).unwrap(), b"\xff\0\n");
}

#[test]
fn widths_flags_and_maxima() {
    assert_eq!(
        text("%6t|%-6t|%06t|%3.3t|%.2t|%6.2t"),
        "  b\u{e4}/t|b\u{e4}/t  |  b\u{e4}/t|b\u{e4}/|b\u{e4}|    b\u{e4}"
    );
    assert_eq!(text("%5l|%-5l|%05l|%-05l|%1l"), "    3|3    |00003|3    |3");
    assert_eq!(text("%5p|%-5p|%05p|%2p"), "  abc|abc  |00abc|abc");
    assert_eq!(text("%8x|%08x|%-8x|"), "  616263|00616263|616263  |");
    assert_eq!(text("%3A|%03A|%12C"), "  3|003|  text/plain");
    let none = PropertiesBuf::new();
    assert_eq!(rendered("%A%C%D%E%F%P%R%S|%3C|%3A", b"", &none).unwrap(), b"|   |   ");
}

#[test]
fn json_is_one_object() {
    let none = PropertiesBuf::new();
    let head = "{\"tst\":\"2016-08-10T09:49:03.786368+0100\",\"topic\":\"b\u{e4}/t\",\"qos\":1,\"retain\":1";
    let json =
        |format: &str, payload: &[u8]| String::from_utf8(rendered(format, payload, &none).unwrap()).unwrap();
    assert_eq!(
        json("%j", b"a\"\n\x01"),
        format!("{head},\"payloadlen\":4,\"mid\":9,\"payload\":\"a\\\"\\n\\u0001\"}}")
    );
    assert_eq!(json("%j", b""), format!("{head},\"payloadlen\":0,\"mid\":9,\"payload\":null}}"));
    assert_eq!(json("%j", b"\xffa"), format!("{head},\"payloadlen\":2,\"mid\":9,\"payload\":[255,97]}}"));
    assert_eq!(
        json("%J", b"{ \"t\": 27.0 }"),
        format!("{head},\"payloadlen\":13,\"mid\":9,\"payload\":{{\"t\":27.0}}}}")
    );
    assert_eq!(rendered("%J", b"{", &none), Err(NotJson));
    assert_eq!(
        text("%j"),
        format!(
            "{head},\"payloadlen\":3,\"mid\":9,\"properties\":{{\"payload-format-indicator\":1,\"message-expiry-interval\":60,\
             \"content-type\":\"text/plain\",\"response-topic\":\"answers\",\"correlation-data\":[255,0],\
             \"subscription-identifier\":7,\"topic-alias\":3,\"user-properties\":{{\"k\":\"v\",\"k2\":\"v\\\"2\"}}}},\
             \"payload\":\"abc\"}}"
        )
    );
}

#[test]
fn mistakes_in_a_format_are_explained() {
    for format in ["%k", "a%", "%", "%5", "%-", "%.", "@", "@\u{e4}", "\\q", "\\", "%99999t"] {
        let error = Template::parse(format).unwrap_err();
        assert!(error.contains("write") || error.contains("at most"), "{format}: {error}");
    }
}
