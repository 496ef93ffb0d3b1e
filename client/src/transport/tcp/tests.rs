//! Races on paused time.

use super::*;

fn attempt() -> Attempt {
    Attempt::new(crate::Server::new("", 0))
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 1883)).collect()
}

#[test]
fn families_take_turns_and_the_resolvers_first_choice_leads() {
    let given = addresses(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"]);
    let expected = addresses(&["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]);
    assert_eq!(interleaved(given.into_iter()), expected);
    let given = addresses(&["10.0.0.1", "::1", "10.0.0.2", "10.0.0.3"]);
    let expected = addresses(&["10.0.0.1", "::1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(interleaved(given.into_iter()), expected);
    assert!(interleaved(std::iter::empty()).is_empty());
}

/// What an address does, and when.
#[derive(Clone, Copy)]
enum Does {
    Answers(u64),
    Refuses(u64),
    /// Packets vanish.
    Nothing,
}

/// Who won, or the error; when it was over; and when each attempt began, in milliseconds.
async fn run(plan: &[Does]) -> (Result<usize, String>, u128, Vec<u128>) {
    let start = Instant::now();
    let began = std::sync::Mutex::new(Vec::new());
    let list: Vec<SocketAddr> =
        (0..plan.len()).map(|at| SocketAddr::from(([10, 0, 0, u8::try_from(at).unwrap()], 1))).collect();
    let result = race(&list, |address| {
        began.lock().unwrap().push(start.elapsed().as_millis());
        let at = list.iter().position(|other| *other == address).unwrap();
        let does = plan[at];
        async move {
            match does {
                Does::Answers(after) => {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    Ok(at)
                }
                Does::Refuses(after) => {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
                Does::Nothing => std::future::pending().await,
            }
        }
    })
    .await;
    (result.map_err(|error| error.to_string()), start.elapsed().as_millis(), began.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_costs_one_stagger_and_a_refusal_nothing() {
    use Does::{Answers, Nothing, Refuses};
    assert_eq!(run(&[Answers(100)]).await, (Ok(0), 100, vec![0]));
    assert_eq!(run(&[Nothing, Answers(10)]).await, (Ok(1), 260, vec![0, 250]));
    assert_eq!(run(&[Nothing, Nothing, Answers(10)]).await, (Ok(2), 510, vec![0, 250, 500]));
    assert_eq!(run(&[Refuses(5), Answers(10)]).await, (Ok(1), 15, vec![0, 5]));
    // A refusal begins a new stagger.
    assert_eq!(run(&[Refuses(200), Nothing, Answers(1)]).await, (Ok(2), 451, vec![0, 200, 450]));
    // A slow first address still wins while the second is slower.
    assert_eq!(run(&[Answers(300), Answers(100)]).await, (Ok(0), 300, vec![0, 250]));
    // All that was begun goes on: a late answer counts.
    assert_eq!(run(&[Answers(900), Refuses(1), Refuses(1)]).await, (Ok(0), 900, vec![0, 250, 251]));
}

#[tokio::test(start_paused = true)]
async fn when_all_refuse_the_last_one_is_named() {
    let (result, at, _) = run(&[Does::Refuses(5), Does::Refuses(7)]).await;
    assert_eq!((result, at), (Err("10.0.0.1: connection refused".into()), 12));
    let (result, ..) = run(&[Does::Refuses(5)]).await;
    assert_eq!(result, Err("connection refused".into()));
}

#[tokio::test]
async fn options_reach_the_socket() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probes = TcpKeepAlive::after(Duration::from_secs(33)).interval(Duration::from_secs(7)).count(4);
    let options = Tcp::new().keep_alive(probes).bind_address("127.0.0.9");
    let stream = options.connect(&attempt(), "127.0.0.1", port).await.unwrap();
    let socket = SockRef::from(&*stream);
    assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(33));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
    assert_eq!(stream.local_addr().unwrap().ip().to_string(), "127.0.0.9");
    let stream = Tcp::new().no_delay(false).connect(&attempt(), "127.0.0.1", port).await.unwrap();
    assert!(!stream.nodelay().unwrap() && !SockRef::from(&*stream).keepalive().unwrap());
}

/// Why: `cargo xtask soak links`, where a slow link gets a large message.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn the_system_takes_no_more_than_it_can_send_soon() {
    use tokio::io::{AsyncWriteExt, copy, sink};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stream = Tcp::new().connect(&attempt(), "127.0.0.1", port).await.unwrap();
    let (mut other_end, _) = listener.accept().await.unwrap();
    tokio::spawn(async move { copy(&mut other_end, &mut sink()).await });
    let bound = |stream: &Stream| SockRef::from(&**stream).tcp_notsent_lowat().unwrap();
    assert_eq!(bound(&stream), 128 * 1024, "nothing is known of the link");
    let (first, rest) = (vec![0; 1024 * 1024 - 1], [0]);
    stream.write_all(&first).await.unwrap();
    assert_eq!(bound(&stream), 128 * 1024, "one byte is missing");
    stream.write_all(&rest).await.unwrap();
    assert_eq!(bound(&stream), 1024 * 1024, "a megabyte was gone at once");
    tokio::time::advance(Duration::from_millis(49)).await;
    stream.write_all(&rest).await.unwrap();
    assert_eq!(bound(&stream), 1024 * 1024);
    tokio::time::advance(Duration::from_millis(1)).await;
    stream.write_all(&rest).await.unwrap();
    assert_eq!(bound(&stream), 128 * 1024, "a megabyte is not gone as soon any more");
}

#[tokio::test]
async fn a_local_address_or_interface_that_does_not_do_is_named() {
    for (options, name) in [
        (Tcp::new().bind_address("198.51.100.9"), "198.51.100.9"),
        (Tcp::new().bind_address("::1"), "another family"),
        (Tcp::new().interface("no-such-if0"), "no-such-if0"),
    ] {
        let error = options.connect(&attempt(), "127.0.0.1", 1).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_interface_that_does_not_lead_there_is_used_nevertheless() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    match Tcp::new().interface("lo").connect(&attempt(), "127.0.0.1", port).await {
        Ok(stream) => assert_eq!(SockRef::from(&*stream).device().unwrap().as_deref(), Some(&b"lo"[..])),
        // Some kernels let only root choose.
        Err(error) => assert!(error.to_string().contains("connecting from lo"), "{error}"),
    }
}

/// A listener whose queue is full takes no further connection and refuses none: packets vanish.
#[tokio::test]
async fn the_limit_of_tcp_ends_a_connection_nobody_takes() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let options = Tcp::new().connect_timeout(Duration::from_millis(300));
    let mut taken = Vec::new();
    let error = loop {
        match options.connect(&attempt(), "127.0.0.1", port).await {
            Ok(stream) => taken.push(stream),
            Err(error) => break error,
        }
        assert!(taken.len() < 64, "the queue never fills");
    };
    assert!(error.to_string().contains("within 300ms"), "{error}");
}
