//! Which servers are trusted, and what is said of those that are not.

use packetboat::{CertificateProblem, OptionsError, Pem, Tls, TlsError, TlsVersion};

use crate::common::certificates::{Authority, Pair, params, valid};
use crate::{Folder, broker, connect_error, options, talks, tls_error, trusting};

async fn problem(pair: &Pair, tls: Tls) -> CertificateProblem {
    let broker = broker(pair).await;
    match tls_error(options(&broker, tls)).await {
        TlsError::Certificate(problem) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn authorities_come_from_file_folder_and_memory_and_each_of_them_counts() {
    let (one, other, folder) = (Authority::new(), Authority::new(), Folder::new());
    let (file, _) = (folder.write("one.pem", &one.pem), folder.write("README", "no certificate"));
    folder.write("other.0", &other.pem);
    let both = format!("{}\nand\n{}", one.pem, other.pem);
    for (signer, stranger) in [(&one, &other), (&other, &one)] {
        let broker = broker(&signer.server()).await;
        talks(options(&broker, trusting(&both))).await;
        talks(options(&broker, trusting(&stranger.pem).authority(Pem::memory(signer.pem.as_str())))).await;
        talks(options(&broker, Tls::new().authority_folder(&folder.0))).await;
        let refused = tls_error(options(&broker, trusting(&stranger.pem))).await;
        assert!(
            matches!(refused, TlsError::Certificate(CertificateProblem::UnknownAuthority)),
            "{refused:?}"
        );
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
    let broker = broker(&one.server()).await;
    talks(options(&broker, Tls::new().authority(Pem::file(&file)))).await;
    // Neither the system's authorities nor nobody's.
    let refused = tls_error(options(&broker, trusting(&other.pem).system_authorities(true))).await;
    assert!(matches!(refused, TlsError::Certificate(CertificateProblem::UnknownAuthority)), "{refused:?}");
}

#[tokio::test]
async fn each_fault_of_a_certificate_has_its_own_answer() {
    let (authority, names) = (Authority::new(), ["localhost", "127.0.0.1"]);
    let trust = || trusting(&authority.pem);
    let expired = authority.sign(&valid(params(&names), -200_000, -100_000));
    let found = problem(&expired, trust()).await;
    let CertificateProblem::Expired { since } = found else { panic!("{found:?}") };
    assert!((100_000..100_100).contains(&since.as_secs()), "{since:?}");
    assert!(found.to_string().contains("27 hours ago"), "{found}");

    let future = authority.sign(&valid(params(&names), 100_000, 200_000));
    let found = problem(&future, trust()).await;
    assert!(matches!(found, CertificateProblem::NotYetValid { starts_in } if starts_in.as_secs() > 99_000));
    assert!(found.to_string().contains("clock"), "{found}");

    let elsewhere = authority.sign(&params(&["broker.example", "*.boat.example"]));
    let found = problem(&elsewhere, trust()).await;
    let CertificateProblem::WrongName { expected, presented } = &found else { panic!("{found:?}") };
    assert_eq!(expected, "localhost");
    assert_eq!(presented, &["broker.example", "*.boat.example"]);
    assert!(found.to_string().contains("broker.example"), "{found}");

    let stranger = Authority::new().server();
    assert_eq!(problem(&stranger, trust()).await, CertificateProblem::UnknownAuthority);
    let (old, new) = (Authority::named("same"), Authority::named("same"));
    let found = problem(&new.server(), trusting(&old.pem)).await;
    assert!(matches!(&found, CertificateProblem::Unusable(why) if why.contains("made anew")), "{found:?}");
    let found = problem(&stranger, Tls::new()).await;
    assert_eq!(found, CertificateProblem::UnknownAuthority, "the system does not know it either");
}

#[tokio::test]
async fn another_name_can_be_asked_for_and_only_the_dangerous_option_accepts_any() {
    let authority = Authority::new();
    let broker = broker(&authority.sign(&params(&["broker.example"]))).await;
    talks(options(&broker, trusting(&authority.pem).server_name("broker.example"))).await;
    talks(options(&broker, trusting(&authority.pem).danger_accept_any_name())).await;
    let wrong = tls_error(options(&broker, trusting(&authority.pem).server_name("other.example"))).await;
    assert!(matches!(wrong, TlsError::Certificate(CertificateProblem::WrongName { .. })), "{wrong:?}");
    let stranger = trusting(&Authority::new().pem).danger_accept_any_name();
    let stranger = tls_error(options(&broker, stranger)).await;
    assert!(matches!(stranger, TlsError::Certificate(CertificateProblem::UnknownAuthority)), "{stranger:?}");
    let nonsense = tls_error(options(&broker, Tls::new().server_name("no name"))).await;
    assert!(matches!(nonsense, TlsError::Material { .. }), "{nonsense:?}");
}

#[tokio::test]
async fn revoked_certificates_are_refused_and_so_are_those_nobody_tells_of() {
    let authority = Authority::new();
    let mut params = params(&["localhost"]);
    params.serial_number = Some(7u64.into());
    let broker = broker(&authority.sign(&params)).await;
    let with = |list: String| trusting(&authority.pem).revocation_list(Pem::memory(list));
    talks(options(&broker, with(authority.revocation_list(&[8, 9], 3600)))).await;
    let error = |list| tls_error(options(&broker, with(list)));
    let revoked = error(authority.revocation_list(&[8, 7], 3600)).await;
    assert!(matches!(revoked, TlsError::Certificate(CertificateProblem::Revoked)), "{revoked:?}");
    let old = error(authority.revocation_list(&[8], -60)).await;
    assert!(matches!(old, TlsError::Certificate(CertificateProblem::RevocationUnknown(_))), "{old:?}");
    let foreign = error(Authority::new().revocation_list(&[8], 3600)).await;
    assert!(matches!(foreign, TlsError::Certificate(_)), "{foreign:?}");
}

#[tokio::test]
async fn a_pin_is_a_certificate_or_a_key_and_makes_self_signed_ones_safe() {
    use ring::digest::{SHA256, digest};
    let sha256 = |bytes: &[u8]| <[u8; 32]>::try_from(digest(&SHA256, bytes).as_ref()).unwrap();
    let (authority, pair) = (Authority::new(), Authority::new().server());
    let broker = broker(&pair).await;
    for good in [sha256(&pair.der), sha256(&pair.public_key)] {
        let pinned = Tls::new().pin([1; 32]).pin(good).danger_accept_any_certificate();
        talks(options(&broker, pinned).username("user").password("secret")).await;
        let untrusted = tls_error(options(&broker, trusting(&authority.pem).pin(good))).await;
        assert!(matches!(untrusted, TlsError::Certificate(CertificateProblem::UnknownAuthority)));
    }
    let wrong = Tls::new().pin([1; 32]).danger_accept_any_certificate();
    let wrong = tls_error(options(&broker, wrong)).await;
    assert!(matches!(wrong, TlsError::Certificate(CertificateProblem::NotPinned)), "{wrong:?}");
}

#[tokio::test]
async fn what_contradicts_itself_or_gives_secrets_away_is_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let broker = broker(&authority.server()).await;
    let any = || Tls::new().danger_accept_any_certificate();
    talks(options(&broker, any())).await;
    talks(options(&broker, any().danger_send_password_to_anyone()).username("u").password("p")).await;
    let refused = [
        (any().authority(Pem::memory(authority.pem.as_str())), false),
        (any().authority_folder("/tmp"), false),
        (any().system_authorities(true), false),
        (any().revocation_list(Pem::memory(authority.revocation_list(&[], 60))), false),
        (any().danger_accept_any_name(), false),
        (any(), true),
        (Tls::new().key_password("x"), false),
        (Tls::new().versions(TlsVersion::Tls13, TlsVersion::Tls12), false),
        (Tls::new().alpn(""), false),
    ];
    for (tls, password) in refused {
        let mut options = options(&broker, tls.clone());
        if password {
            options = options.username("u").password("p");
        }
        let error = connect_error(options).await;
        assert!(
            matches!(error, packetboat::ConnectError::Options(OptionsError::Tls(_))),
            "{tls:?}: {error:?}"
        );
    }
}
