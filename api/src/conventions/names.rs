//! Request ids, traces, addresses and origins.

use super::*;

#[tokio::test]
async fn a_request_id_is_echoed_on_answers_and_errors_and_reaches_the_command() {
    let bench = Bench::new();
    let answer = bench.post_with("/api/things", &[("x-request-id", "mine 1")], &thing()).await;
    assert_eq!(answer.header("x-request-id"), "mine 1");
    assert_eq!(answer.body["data"]["correlationId"], "mine 1");
    let answer = bench.ask(Method::GET, "/api/nothing", &[("x-request-id", "mine 2")], "").await;
    answer.assert_problem(404, "not_found");
    assert_eq!(answer.body["requestId"], "mine 2");
}

#[tokio::test]
async fn a_request_id_is_made_where_none_or_a_wrong_one_is_given() {
    let bench = Bench::new();
    let (a, b) = (bench.get("/api/things").await, bench.get("/api/things").await);
    assert_ne!(a.header("x-request-id"), "");
    assert_ne!(a.header("x-request-id"), b.header("x-request-id"));
    for wrong in [String::new(), "y".repeat(129)] {
        let answer = bench.ask(Method::GET, "/api/things", &[("x-request-id", &wrong)], "").await;
        assert!(Uuid::parse_str(answer.header("x-request-id")).is_ok(), "{wrong}");
    }
}

#[tokio::test]
async fn a_trace_is_followed_or_begun() {
    let bench = Bench::new();
    let of = async |traceparent: &str| {
        let answer = bench.post_with("/api/things", &[("traceparent", traceparent)], &thing()).await;
        answer.body["data"]["traceparent"].as_str().expect("a trace").to_owned()
    };
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let followed = of(given).await;
    assert_eq!(followed[..36], given[..36]);
    assert_ne!(followed, given, "the request has a span of its own");
    let made = of("00-zz-zz-zz").await;
    assert_eq!((made.len(), &made[..3]), (55, "00-"));
}

#[tokio::test]
async fn an_address_is_the_peers_or_what_a_trusted_proxy_saw() {
    let whoami = async |bench: &Bench| {
        let mut request =
            Request::get("/api/whoami").header("x-forwarded-for", "203.0.113.9").body(Body::empty()).expect("request");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4_000))));
        bench.send(request).await.body["data"].as_str().expect("text").split(' ').next().map(str::to_owned)
    };
    assert_eq!(whoami(&Bench::new()).await.as_deref(), Some("10.0.0.1"));
    let behind = Bench::with(|config| config.proxies = crate::Proxies("10.0.0.0/8".parse().expect("networks")));
    assert_eq!(whoami(&behind).await.as_deref(), Some("203.0.113.9"));
}

#[tokio::test]
async fn a_preflight_from_a_configured_origin_is_allowed_what_clients_need() {
    let preflight = async |origin| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key,hansard-min-position"),
            ("authorization", "none"),
        ];
        Bench::new().ask(Method::OPTIONS, "/api/things", &headers, "").await
    };
    let answer = preflight("http://localhost:5173").await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (204, "http://localhost:5173"));
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    for name in ["authorization", "content-type", "idempotency-key", "hansard-min-position", "prefer", "x-request-id"] {
        assert!(answer.header("access-control-allow-headers").contains(name), "{name}");
    }
    assert_eq!(preflight("http://evil.example").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn an_error_names_the_origin_too() {
    let bench = Bench::new();
    let headers = [("origin", "http://localhost:5173"), ("authorization", "none")];
    let answer = bench.ask(Method::GET, "/api/things", &headers, "").await;
    answer.assert_problem(401, "unauthenticated");
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:5173");
    for name in ["hansard-position", "x-request-id", "retry-after"] {
        assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
    }
    assert_eq!(
        bench.ask(Method::GET, "/api/things", &[("origin", "null")], "").await.header("access-control-allow-origin"),
        ""
    );
}
