//! The ways in which a probe can ask, and what no kubelet could ask.

use brimful_loadgen_plan::probe::{Action, Exec, Scheme};

use super::{Scenario, file, parse};

#[test]
fn a_probe_asks_in_one_of_four_ways_and_the_server_speaks_what_it_is_asked_in() {
    let secure = parse(
        "[probe]\nhttp-get = \"/live\"\nscheme = \"https\"\nhost = \"127.0.0.2\"\n\
         http-headers = [{ name = \"Host\", value = \"example.com\" }, { name = \"X-A\", value = \"\" }]",
    );
    let Action::HttpGet(get) = &secure.probe.action else { panic!("{:?}", secure.probe.action) };
    assert_eq!((get.path.as_str(), get.scheme, get.headers.len()), ("/live", Scheme::Https, 2));
    assert_eq!(secure.probe.host, Some("127.0.0.2".parse().unwrap()));
    assert!(secure.target.plan.tls && secure.target.plan.grpc_service.is_none());

    let whole = parse("[probe]\ngrpc = true");
    assert_eq!(whole.probe.action, Action::Grpc { service: String::new() });
    assert_eq!(whole.target.plan.grpc_service.as_deref(), Some(""));
    assert_eq!(parse("[probe]\ngrpc = \"shop\"").target.plan.grpc_service.as_deref(), Some("shop"));

    let command = parse("[probe]\nexec = [\"cat\", \"/tmp/healthy\"]");
    assert_eq!(command.probe.action, Action::Exec(Exec::of(vec!["cat".into(), "/tmp/healthy".into()])));
    assert!(!command.target.plan.tls && command.target.plan.grpc_service.is_none());
}

#[test]
fn what_no_kubelet_could_ask_is_refused_with_what_to_write() {
    for (probe, says) in [
        ("grpc = true\nexec = [\"true\"]", "one way of asking"),
        ("http-get = \"/\"\ntcp-socket = true", "one way of asking"),
        ("grpc = false", "can only be true"),
        ("exec = \"true\"", "there is no shell"),
        ("exec = []", "names no program"),
        ("exec = [\"true\"]\nport = 80", "asks no address by itself"),
        ("exec = [\"true\"]\nnofile = 64", "with the target's own limit"),
        ("grpc = true\nscheme = \"https\"", "`probe.scheme` goes with `http-get`"),
        ("grpc = true\nhost = \"127.0.0.1\"", "goes with `http-get` or `tcp-socket`"),
        ("host = \"example.com\"", "names are not looked up"),
        ("host = \"192.0.2.1\"", "no way out"),
        ("scheme = \"ftp\"", "cannot be \"ftp\""),
        ("http-headers = { a = \"b\" }", "write http-headers = [{ name"),
        ("http-headers = [{ name = \"a b\", value = \"\" }]", "is no name of a header"),
        ("http-headers = [{ name = \"Connection\", value = \"close\" }]", "belongs to the connection"),
        ("http-headers = [{ name = \"X\" }]", "is missing"),
    ] {
        let error = Scenario::parse("s", &file(&format!("[probe]\n{probe}"))).unwrap_err();
        let told = format!("{error}\nhint: {}", error.hint.clone().unwrap_or_default());
        assert!(told.contains(says), "{probe}: {told}");
    }
}
