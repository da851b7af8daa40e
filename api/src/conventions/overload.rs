//! What happens when it is too much, and at the end.

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_answered_503() {
    let answer = Bench::new().get("/api/slow").await;
    answer.assert_problem(503, "timed_out");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_are_admitted_are_told_to_come_back_and_health_still_answers() {
    let bench = Bench::with(|config| config.requests_at_once_max = 1);
    let router = bench.router.clone();
    let held = tokio::spawn(router.oneshot(Request::get("/api/slow").body(Body::empty()).expect("request")));
    while bench.front.admission.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let answer = bench.get("/api/things").await;
    answer.assert_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(bench.get("/health").await.status, 200);
    held.abort();
    let _ = held.await;
    bench.get("/api/things").await.assert_problem(503, "overloaded");
    // Who hung up has cut nothing short: its place is free when the work is done.
    tokio::time::sleep(Duration::from_secs(3_601)).await;
    assert_eq!(bench.get("/api/things").await.status, 200);
}

#[tokio::test]
async fn whoever_never_sends_the_body_they_promised_keeps_nobody_out() {
    let bench = Bench::with(|config| config.requests_at_once_max = 1);
    let silent = Body::from_stream(futures::stream::pending::<Result<axum::body::Bytes, std::io::Error>>());
    let post = Request::post("/api/things").header("authorization", "Bearer alice").body(silent).expect("request");
    let held = tokio::spawn(bench.router.clone().oneshot(post));
    // It gets as far as it can.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let answer = bench.get("/api/things").await;
    assert!(!held.is_finished(), "the body was not waited for");
    assert_eq!((answer.status.as_u16(), bench.front.admission.available_permits()), (200, 1));
    held.abort();
}

/// A listening server, and the word that ends it.
async fn listening(bench: &Bench) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (end, ended) = oneshot::channel::<()>();
    let (router, connections) = (bench.router.clone(), bench.front.connections.clone());
    let serving = tokio::spawn(crate::serve(router, listener, connections, async {
        let _ = ended.await;
    }));
    (address, end, serving)
}

#[tokio::test]
async fn open_connections_are_counted() {
    let bench = Bench::new();
    let (address, end, serving) = listening(&bench).await;
    let connection = TcpStream::connect(address).await.expect("connected");
    let counted = async |wanted: usize| {
        for _ in 0..500 {
            if bench.get("/health").await.body["openConnections"] == wanted {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    };
    assert!(counted(1).await);
    drop(connection);
    assert!(counted(0).await);
    end.send(()).expect("serving");
    serving.await.expect("served");
}

#[tokio::test]
async fn at_the_end_a_request_in_flight_is_answered_and_no_new_one_is_taken() {
    let bench = Bench::new();
    bench.fake.applied.store(9, Ordering::Relaxed);
    let (address, end, serving) = listening(&bench).await;
    let mut connection = TcpStream::connect(address).await.expect("connected");
    let body = thing().to_string();
    let request = format!(
        "POST /api/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alice\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.expect("written");
    while bench.front.admission.available_permits() == 1_024 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    end.send(()).expect("serving");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err(), "no new connection is taken");
    bench.fake.applied.store(10, Ordering::Relaxed);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    serving.await.expect("served");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_no_request_comes_to_an_end_is_ended() {
    let bench = Bench::new();
    let (address, _end, _serving) = listening(&bench).await;
    for begun in ["", "P", "GET /health HTTP/1.1\r\nhost:"] {
        let mut connection = TcpStream::connect(address).await.expect("connected");
        connection.write_all(begun.as_bytes()).await.expect("written");
        let from = tokio::time::Instant::now();
        let mut answer = vec![];
        connection.read_to_end(&mut answer).await.expect("ended in order");
        assert_eq!(answer, b"", "{begun:?}");
        assert!((60..90).contains(&from.elapsed().as_secs()), "{begun:?} held it for {:?}", from.elapsed());
    }
}
