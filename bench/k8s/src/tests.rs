use brimful_plan::catalogue;
use brimful_plan::matrix::expand;
use insta::assert_snapshot;
use serde_json::Value;

use super::*;

fn options(pods: Option<u32>) -> Options {
    Options { image: "brimful:test".to_owned(), pods, namespace: "brimful".to_owned() }
}

fn scenario(text: &str) -> Scenario {
    Scenario::parse("made-up.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn first(text: &str, pods: Option<u32>) -> Result<Vec<File>, Refusal> {
    let scenario = scenario(text);
    render(&scenario, &expand(&scenario, u64::MAX).unwrap()[0], &options(pods))
}

fn whole(files: &[File]) -> String {
    files.iter().map(|file| format!("--- {} ---\n{}\n", file.path, file.text)).collect()
}

fn read(files: &[File], path: &str) -> Value {
    let file = files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    serde_norway::from_str(&file.text).unwrap_or_else(|error| panic!("{error}\n{}", file.text))
}

const LEAST: &str = "question = \"?\"\nload.connections = 1_000\nload.ramp = \"1s\"\nload.hold = \"9s\"\n";

#[test]
fn the_cell_of_the_origin_reads_well() {
    let embedded = catalogue::find("origin").unwrap();
    let scenario = Scenario::parse("origin.toml", embedded.text).unwrap();
    let cell = &expand(&scenario, u64::MAX).unwrap()[0];
    assert_snapshot!(whole(&render(&scenario, cell, &options(Some(4))).unwrap()));
}

#[test]
fn a_server_with_many_settings_reads_well() {
    let text = "question = \"?\"\nload.connections = 0\nload.ramp = \"1s\"\nload.hold = \"9s\"\n\
        [target]\nlisten = \"[::]:8080\"\nhealth-listen = \"[::]:8081\"\nmax-connections = 10\nat-max = \"close\"\ncpu = 50\n\
        leak-one-in = 2\nanswer-delay = \"20ms\"\ndefer-accept = \"5s\"\nreuseport = 3\nreuseport-stuck = 1\nraise-nofile = true\n\
        accept = \"one-per-wakeup\"\naccept-rate = 100\nextra-fds-per-connection = 2\n\
        [probe]\nhttp-get = \"/live?a=$(HOME)\"\nperiod = \"400ms\"\ntimeout = \"1500ms\"\nport = 9_000\n\
        [matrix.sysctl]\n\"net.ipv4.ip_local_port_range\" = [\"1024 60999\"]\n";
    let files = first(text, None).unwrap();
    assert!(files.iter().all(|file| !file.path.contains("load") && !file.path.contains("components")));
    assert_snapshot!(
        files
            .iter()
            .filter(|f| f.path == "base/target.yaml" || f.path == "base/probe.yaml")
            .map(|f| f.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn every_scenario_is_rendered_or_says_why_not() {
    let mut rendered = 0;
    for embedded in catalogue::list() {
        let scenario = Scenario::parse(embedded.name, embedded.text).unwrap();
        for cell in expand(&scenario, u64::MAX).unwrap() {
            match render(&scenario, &cell, &options(None)) {
                Ok(files) => {
                    rendered += 1;
                    for file in &files {
                        let value: Value = serde_norway::from_str(&file.text).unwrap();
                        assert!(value["kind"].is_string(), "{}", file.text);
                    }
                    names_what_is_there(&files);
                }
                Err(refusal) => assert!(!refusal.hint.is_empty() && refusal.cell.is_some(), "{refusal:?}"),
            }
        }
    }
    assert!(rendered >= 20, "{rendered}");
}

/// Every path that a kustomization names is a file, or a folder with a kustomization; every file is named.
fn names_what_is_there(files: &[File]) {
    let mut named = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("kustomization.yaml")) {
        let folder = file.path.trim_end_matches("/kustomization.yaml");
        let value = read(files, file.path);
        let texts = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        let patches = texts("patches").into_iter().map(|patch| patch["path"].clone());
        for word in texts("resources").into_iter().chain(texts("components")).chain(patches) {
            let word = word.as_str().unwrap().to_owned();
            let path = match word.strip_prefix("../../") {
                Some(above) => format!("{above}/kustomization.yaml"),
                None => format!("{folder}/{word}"),
            };
            assert!(files.iter().any(|file| file.path == path), "{} names {word}", file.path);
            named.push(path);
        }
    }
    for file in
        files.iter().filter(|file| !file.path.starts_with("overlays/") || !file.path.ends_with("kustomization.yaml"))
    {
        assert!(named.iter().any(|name| name == file.path), "nobody names {}", file.path);
    }
}

#[test]
fn what_a_pod_cannot_be_is_refused() {
    for (more, says) in [
        ("load.behaviour = \"half-open\"\ntopology.path = \"veth\"", "half-open load is made in a sandbox only"),
        ("topology.sandbox = \"vm\"", "turned in a guest only"),
        ("load.behaviour = \"heartbeat\"", "holds idle connections only"),
        ("load.reconnect = \"linear\"\nload.behaviour = \"reconnect\"", "holds idle connections only"),
        ("load.ramp-until = \"unhealthy\"", "does not end its ramp"),
        ("target.shards = 2", "has no place in one container"),
        ("target.block = { first = \"1s\", length = \"1s\" }", "has no pauses"),
        ("probe.nofile = 64", "the kubelet's own descriptor limit"),
    ] {
        let refusal = first(&format!("{LEAST}{more}\n"), None).unwrap_err();
        assert!(refusal.what.contains(says), "{more}: {refusal}");
        assert_eq!(refusal.cell.as_deref(), Some("base"));
    }
}

#[test]
fn options_that_are_none_are_refused() {
    let scenario = scenario(LEAST);
    let cell = &expand(&scenario, u64::MAX).unwrap()[0];
    for (changed, says) in [
        (Options { namespace: "Brimful".to_owned(), ..options(None) }, "is no name of a namespace"),
        (Options { namespace: "-a".to_owned(), ..options(None) }, "is no name of a namespace"),
        (Options { namespace: "a".repeat(64), ..options(None) }, "is no name of a namespace"),
        (Options { namespace: String::new(), ..options(None) }, "is no name of a namespace"),
        (Options { image: "a b".to_owned(), ..options(None) }, "is no reference of an image"),
        (options(Some(0)), "between 1 and 1,000"),
        (options(Some(1_001)), "between 1 and 1,000"),
    ] {
        assert!(render(&scenario, cell, &changed).unwrap_err().what.contains(says), "{changed:?}");
    }
    let many = LEAST.replace("1_000", "40_000");
    assert!(first(&many, Some(1)).unwrap_err().to_string().contains("a pod would open 40,000 connections"));
    assert!(first(LEAST, Some(1_000)).is_ok());
    assert!(first(&LEAST.replace("1_000", "3"), Some(4)).unwrap_err().hint.contains("--pods 3"));
}

#[test]
fn the_kubelet_gets_the_fields_that_the_scenario_has() {
    for (probe, field, json, words) in [
        (
            "scheme = \"https\"\nhost = \"127.0.0.1\"\nhttp-headers = [{ name = \"X-A\", value = \"1\" }]",
            "httpGet",
            r#"{"host":"127.0.0.1","path":"/healthz","port":23380,"scheme":"HTTPS","httpHeaders":[{"name":"X-A","value":"1"}]}"#,
            &["--https", "--header", "X-A: 1"][..],
        ),
        ("grpc = true", "grpc", r#"{"port":23380}"#, &["--grpc="]),
        ("grpc = \"shop\"", "grpc", r#"{"port":23380,"service":"shop"}"#, &["--grpc=shop"]),
        ("exec = [\"echo\", \"$(HOME)\"]", "exec", r#"{"command":["echo","$$(HOME)"]}"#, &["--path", "/healthz"]),
    ] {
        let files = first(&format!("{LEAST}[probe]\n{probe}\n"), None).unwrap();
        let container = &read(&files, "base/target.yaml")["spec"]["template"]["spec"]["containers"][0];
        for kind in ["livenessProbe", "readinessProbe"] {
            assert_eq!(container[kind][field], serde_json::from_str::<Value>(json).unwrap(), "{probe}");
        }
        let arguments = read(&files, "base/probe.yaml")["spec"]["template"]["spec"]["containers"][0]["args"].clone();
        let arguments: Vec<&str> = arguments.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert!(words.iter().all(|word| arguments.contains(word)), "{probe}: {arguments:?}");
    }
}

#[test]
fn sysctls_go_where_kubernetes_lets_them() {
    let text = format!(
        "{LEAST}[matrix.sysctl]\n\"net.ipv4.tcp_syncookies\" = [0]\n\"net.core.somaxconn\" = [128]\n\
         \"net.ipv4.tcp_unheard_of\" = [1]\n[matrix.ulimit]\nnofile = [\"64:128\"]\n"
    );
    let files = first(&text, None).unwrap();
    let sysctls = |path: &str| {
        let value = read(&files, path)["spec"]["template"]["spec"]["securityContext"]["sysctls"].clone();
        let text = |pair: &Value, key: &str| pair[key].as_str().unwrap().to_owned();
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| format!("{}={}", text(pair, "name"), text(pair, "value")))
            .collect::<Vec<_>>()
    };
    for part in ["target", "load", "probe"] {
        assert_eq!(sysctls(&format!("base/{part}.yaml")), ["net.ipv4.tcp_syncookies=0"]);
        let all = ["net.ipv4.tcp_syncookies=0", "net.core.somaxconn=128", "net.ipv4.tcp_unheard_of=1"];
        assert_eq!(sysctls(&format!("components/unsafe-sysctls/{part}.yaml")), all);
    }
    let target = read(&files, "base/target.yaml");
    let arguments = &target["spec"]["template"]["spec"]["containers"][0]["args"];
    let words: Vec<&str> = arguments.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(words.windows(2).any(|pair| pair == ["--nofile", "64:128"]), "{words:?}");
}

#[test]
fn the_connections_are_shared_out() {
    let files = first(&LEAST.replace("1_000", "60_001"), None).unwrap();
    let job = read(&files, "base/load.yaml");
    assert_eq!((&job["spec"]["completions"], &job["spec"]["completionMode"]), (&3.into(), &"Indexed".into()));
    let text = &files.iter().find(|file| file.path == "base/load.yaml").unwrap().text;
    assert!(text.contains("\"$(JOB_COMPLETION_INDEX)/3\"") && text.contains("\"60001\""), "{text}");
    // A fleet, whose gatherer is found by the one Service that selects pod 0.
    let words = job["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name).unwrap_or_else(|| panic!("no {name} in {words:?}"));
        words[at + 1].as_str().unwrap()
    };
    assert_eq!(
        (after("--fleet"), after("--gatherer")),
        ("$(JOB_COMPLETION_INDEX)/3", "$(GATHERER_SERVICE_HOST):23390")
    );
    let service = read(&files, "base/gatherer-service.yaml");
    assert_eq!(service["spec"]["selector"]["batch.kubernetes.io/job-completion-index"], "0");
    assert_eq!(service["metadata"]["name"], "gatherer");
    assert_eq!(service["spec"]["ports"][0]["port"], 23_390);
    // Consent is for what one generator opens.
    let target = &files.iter().find(|file| file.path == "base/target.yaml").unwrap().text;
    assert!(target.contains("\"20001\""), "{target}");
}
