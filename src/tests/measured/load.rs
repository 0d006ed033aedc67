//! How the panel bears load: wrk against the real program, beside a bare actix server in the same run.
//! Asserts counts and ratios; prints the times.

use crate::program::{Program, easel, is_long};
use actix_web::{App, HttpResponse, HttpServer, web};
use std::{process::Command, time::Duration};

/// One run of wrk, parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests_per_s: f64,
    p99_ms: f64,
    pub(crate) errors: u64,
}

/// Runs wrk with these headers.
pub(crate) fn wrk(url: &str, connections: u32, seconds: u32, headers: &[&str]) -> Load {
    let output = Command::new("wrk")
        .args(["--latency", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), url])
        .args(headers.iter().flat_map(|header| ["-H", header]))
        .output()
        .expect("wrk is installed by setup/test.sh");
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(report: &str) -> Load {
    let after = |label: &str| report.lines().find_map(|l| l.trim().strip_prefix(label)).map(str::trim);
    let requests_per_s =
        after("Requests/sec:").and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("not a report of wrk:\n{report}"));
    let p99_ms = after("99%").map(milliseconds).unwrap_or_else(|| panic!("no percentiles:\n{report}"));
    let numbers = |line: &str| line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum::<u64>();
    let errors = ["Socket errors:", "Non-2xx or 3xx responses:"].iter().filter_map(|l| after(l)).map(numbers).sum();
    Load { requests_per_s, p99_ms, errors }
}

fn milliseconds(text: &str) -> f64 {
    let (number, factor) = match text {
        t if t.ends_with("us") => (&t[..t.len() - 2], 0.001),
        t if t.ends_with("ms") => (&t[..t.len() - 2], 1.0),
        t => (t.trim_end_matches('s'), 1000.0),
    };
    number.parse::<f64>().unwrap() * factor
}

/// A server that does nothing but answer, with as many workers as the panel has.
async fn bare() -> (String, actix_web::dev::ServerHandle) {
    let server = HttpServer::new(|| App::new().route("/healthz", web::get().to(|| async { HttpResponse::Ok().body("ok") })))
        .workers(2)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let url = format!("http://{}/healthz", server.addrs()[0]);
    let running = server.run();
    let handle = running.handle();
    tokio::spawn(running);
    (url, handle)
}

fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

#[tokio::test(flavor = "multi_thread")]
async fn healthz_keeps_up_with_a_bare_server_and_pages_answer_without_errors() {
    let program = Program::start("[[user]]\nname = \"Ada\"\n");
    let (bare_url, bare_server) = bare().await;
    // Many short rounds in turn: whatever else the machine does falls on both sides alike.
    let (rounds, seconds) = if is_long() { (30, 10) } else { (9, 1) };
    let (mut ratios, mut fastest) = (Vec::new(), 0.0f64);
    for _ in 0..rounds {
        let url = bare_url.clone();
        let reference = tokio::task::spawn_blocking(move || wrk(&url, 50, seconds, &[])).await.unwrap();
        let url = program.at("/healthz");
        let ours = tokio::task::spawn_blocking(move || wrk(&url, 50, seconds, &[])).await.unwrap();
        println!("healthz {:.0}/s, bare actix {:.0}/s", ours.requests_per_s, reference.requests_per_s);
        assert_eq!(ours.errors, 0, "{ours:?}");
        fastest = fastest.max(ours.requests_per_s);
        ratios.push(ours.requests_per_s / reference.requests_per_s);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("healthz is {:.0} % of bare actix", median * 100.0);
    assert!(median >= 0.7, "ratios {ratios:?}");

    let url = program.at("/");
    let seconds = if is_long() { 600 } else { 20 };
    let page = tokio::task::spawn_blocking(move || wrk(&url, 200, seconds, &[])).await.unwrap();
    let resident = resident_mb(program.pid());
    println!(
        "profile page at 200 connections: {:.0}/s, p99 {:.1} ms, {} errors, {resident:.0} MB resident",
        page.requests_per_s, page.p99_ms, page.errors
    );
    assert_eq!(page.errors, 0, "{page:?}");
    // A page that looks something up at every request that it need not.
    assert!(page.requests_per_s > 0.15 * fastest, "{page:?} where healthz gives {fastest:.0}/s");
    assert!(resident <= 150.0, "{resident} MB after load");
    bare_server.stop(false).await;
}

#[test]
fn the_panel_starts_fast_and_small() {
    let program = Program::start("[[user]]\nname = \"Ada\"\n");
    std::thread::sleep(Duration::from_secs(2));
    let resident = resident_mb(program.pid());
    println!("address printed after {:.0} ms; panel alone {resident:.0} MB", program.started_in.as_secs_f64() * 1000.0);
    assert!(resident <= 60.0, "the panel alone holds {resident} MB");
}

#[test]
fn help_names_every_subcommand() {
    let output = easel().arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in ["serve", "engine", "generate", "models", "user", "key", "golden", "doctor"] {
        assert!(text.contains(name), "{name} is not in the help:\n{text}");
    }
}

#[test]
fn reports_of_wrk_are_read() {
    let report = "  Latency Distribution\n     50%  1.20ms\n     99%  850.00us\n  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 4\nRequests/sec:  12345.67\n";
    let load = parse(report);
    assert_eq!((load.requests_per_s, load.p99_ms, load.errors), (12345.67, 0.85, 7));
}
