//! Two namespaces joined by a veth pair: a server in one, `brimful load` and `brimful probe` in the other, and nothing sent that was not
//! allowed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use brimful_plan::cell::Path;

use super::stage::{Side, Stage, Who, everybody, plain, server};
use super::support::sandbox_allowed;

/// A server in the namespace of the server; it goes with this.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A sandbox with two namespaces, as each user who can make one.
fn stages() -> Vec<Stage> {
    everybody().into_iter().map(|who: Who| Stage::make(who, plain(Path::Veth)).expect("a sandbox")).collect()
}

/// Starts `brimful serve` and waits until it listens.
fn serve(stage: &Stage, options: &[&str]) -> Serving {
    let listen = server(Path::Veth).to_string();
    let mut command = stage.inside(Side::Server);
    command.args(["serve", "--listen", &listen]).args(options).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a server");
    let says = BufReader::new(child.stderr.take().expect("its words"));
    let serving = Serving(child);
    let (mouth, ear) = channel();
    std::thread::spawn(move || {
        for line in says.lines().map_while(Result::ok) {
            // Read to its end, so that the server never waits for a reader.
            mouth.send(line).ok();
        }
    });
    let mut heard = String::new();
    while !heard.contains("listening on") {
        heard = ear.recv_timeout(Duration::from_secs(30)).expect("it listens");
    }
    serving
}

fn client(stage: &Stage, words: &[&str]) -> Output {
    stage.inside(Side::Client).args(words).output().expect("brimful runs")
}

/// What a load is by default here: connections, and how long they are held.
const SMALL: (&str, &str) = ("50", "300ms");

fn load(stage: &Stage, (connections, hold): (&str, &str), more: &[&str]) -> Output {
    let address = server(Path::Veth).to_string();
    let words = ["load", &address, "--connections", connections, "--ramp", "100ms", "--hold", hold, "--format", "json"];
    client(stage, &[&words[..], more].concat())
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn refused(output: &Output, says: &str) {
    let said = words(output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(says) && said.contains("hint: only loopback is loaded without being asked"), "{said}");
    assert!(output.stdout.is_empty(), "nothing was measured");
}

#[test]
fn a_server_that_consents_is_loaded_and_probed() {
    if !sandbox_allowed() {
        return;
    }
    for stage in stages() {
        let _serving = serve(&stage, &["--consent", "--consent-scenario", "origin", "--consent-connections", "100"]);
        let loaded = load(&stage, SMALL, &["--scenario", "origin"]);
        assert_eq!(loaded.status.code(), Some(0), "{}", words(&loaded));
        assert!(words(&loaded).contains("consents until 2"), "{}", words(&loaded));
        let outcome: serde_json::Value = serde_json::from_slice(&loaded.stdout).expect("JSON");
        assert_eq!((&outcome["requested"], &outcome["held"]), (&50.into(), &50.into()), "{outcome}");

        let share = load(&stage, SMALL, &["--scenario", "origin", "--share", "2/3"]);
        let outcome: serde_json::Value = serde_json::from_slice(&share.stdout).expect("JSON");
        assert_eq!(outcome["held"], 16, "{outcome}");

        let address = server(Path::Veth).to_string();
        let probed = client(&stage, &["probe", &address, "--scenario", "origin", "--period", "50ms", "--count", "3"]);
        let said = String::from_utf8_lossy(&probed.stdout).into_owned();
        assert!(said.contains("3 sent, 3 ok, 0 failed"), "{said}{}", words(&probed));

        refused(&load(&stage, SMALL, &[]), "consents to the scenario `origin`, not to a load without a scenario");
        refused(&load(&stage, SMALL, &["--scenario", "smoke"]), "consents to the scenario `origin`, not to `smoke`");
        refused(&load(&stage, ("50", "2h"), &["--scenario", "origin"]), "the load would last until");
        let many = load(&stage, ("101", "300ms"), &["--scenario", "origin"]);
        refused(&many, "consents to 100 connections, not to 101");
        refused(&client(&stage, &["probe", &address, "--count", "1"]), "not to a load without a scenario");
    }
}

#[test]
fn a_probe_without_an_end_ends_with_the_consent() {
    if !sandbox_allowed() {
        return;
    }
    let stage = stages().remove(0);
    let _serving = serve(&stage, &["--consent", "--consent-for", "2s"]);
    let probed = client(&stage, &["probe", &server(Path::Veth).to_string(), "--period", "100ms"]);
    assert_eq!(probed.status.code(), Some(0), "{}", words(&probed));
    assert!(words(&probed).contains("consent has ended"), "{}", words(&probed));
    refused(&load(&stage, SMALL, &[]), "its consent end");
}

#[test]
fn a_server_that_does_not_consent_is_sent_one_question() {
    if !sandbox_allowed() {
        return;
    }
    for stage in stages() {
        refused(&load(&stage, SMALL, &[]), "cannot connect to 10.88.0.1:23380");
        let _serving = serve(&stage, &[]);
        refused(&load(&stage, SMALL, &[]), "it gives none (status 404)");
    }
}

/// Gives one answer, whatever is asked, and tells what was. It is another program, because a thread of this one cannot enter the
/// namespaces of a user.
fn answering(stage: &Stage, answer: &str) -> (Serving, std::sync::mpsc::Receiver<String>) {
    let at: SocketAddr = server(Path::Veth);
    let program = "import socket,sys\n\
        s=socket.create_server((sys.argv[1],int(sys.argv[2])))\n\
        print('ready',flush=True)\n\
        a=sys.stdin.buffer.read()\n\
        while True:\n\
        \x20c,_=s.accept()\n\
        \x20r=c.recv(4096)\n\
        \x20print(r.split(b'\\r\\n')[0].decode(),flush=True)\n\
        \x20c.sendall(a)\n\
        \x20c.close()\n";
    let mut command = stage.enter(Side::Server, "python3");
    command.args(["-c", program, &at.ip().to_string(), &at.port().to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    child.stdin.take().expect("its input").write_all(answer.as_bytes()).expect("the answer");
    let says = BufReader::new(child.stdout.take().expect("its words"));
    let (mouth, ear) = channel();
    std::thread::spawn(move || says.lines().map_while(Result::ok).for_each(|line| drop(mouth.send(line))));
    assert_eq!(ear.recv_timeout(Duration::from_secs(30)).as_deref(), Ok("ready"));
    (Serving(child), ear)
}

#[test]
fn what_is_no_consent_is_refused_and_nothing_else_is_asked() {
    if !sandbox_allowed() {
        return;
    }
    let stage = stages().remove(0);
    let json = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let good =
        r#"{ "brimful_consent": 1, "scenario": "*", "most_connections": 50, "expires": "2999-01-01T00:00:00Z" }"#;
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://10.88.0.2:80/yes\r\nContent-Length: 0\r\n\r\n";
    for (answer, says) in [
        (elsewhere.to_owned(), "it redirects to http://10.88.0.2:80/yes, and a redirect is not followed"),
        (json(&good.replace("2999", "1999")), "its consent ended at 1999-01-01T00:00:00Z"),
        (json(&good.replace("\"brimful_consent\": 1", "\"brimful_consent\": 7")), "its document is of version 7"),
        (json("ok\n"), "no document of consent"),
        (json(&format!("{good}{}", " ".repeat(5_000))), "longer than 4096 bytes"),
        ("SSH-2.0-OpenSSH_9.9\r\n".to_owned(), "is not HTTP"),
    ] {
        let (_serving, heard) = answering(&stage, &answer);
        refused(&load(&stage, SMALL, &[]), says);
        assert_eq!(
            heard.recv_timeout(Duration::from_secs(30)).as_deref(),
            Ok("GET /.well-known/brimful-consent HTTP/1.1")
        );
        assert!(heard.try_recv().is_err(), "one question, and nothing after it");
    }
    let (_serving, heard) = answering(&stage, &json(good));
    let loaded = load(&stage, SMALL, &[]);
    assert_eq!(loaded.status.code(), Some(0), "an operator's own document: {}", words(&loaded));
    assert!(heard.recv().is_ok());
}

#[test]
fn half_open_load_cannot_be_asked_for_outside_a_sandbox() {
    let mut command = Command::new(super::support::BRIMFUL);
    let output = command.args(["load", "10.88.0.1:80", "--behaviour", "half-open"]).output().expect("brimful runs");
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));

    // And not by speaking to the worker itself, either.
    use brimful_live::message::{Order, Said};

    use super::stage::load as plan;
    let order = Order::Load {
        place: None,
        plan: plan(Path::Veth, 1, brimful_loadgen_plan::plan::Behaviour::HalfOpen, [10, 88, 64, 1].into()),
        shard: 0,
        in_turn: false,
    };
    let me = std::process::id().to_string();
    let mut worker = Command::new(super::support::BRIMFUL)
        .args([brimful_live::process::WORKER, "load", &me])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a worker");
    let line = format!("{}\n", serde_json::to_string(&order).expect("JSON"));
    worker.stdin.take().expect("its input").write_all(line.as_bytes()).expect("it listens");
    let mut said = String::new();
    worker.stdout.take().expect("its output").read_to_string(&mut said).expect("its words");
    worker.wait().expect("it ends");
    let Ok(Said::Failed(failed)) = serde_json::from_str(said.lines().next().unwrap_or_default()) else {
        panic!("{said}")
    };
    assert_eq!(failed.what, "half-open load is for a sandbox only");
}
