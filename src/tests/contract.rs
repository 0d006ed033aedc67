//! The API against its own description: schemathesis sends what the OpenAPI document allows and forbids,
//! as an artist and as an admin. No server error, no answer that the document does not describe.

use crate::program::{Program, easel, is_long};
use std::{path::PathBuf, process::Command};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";
/// Test cases for each operation, in the test command.
const EXAMPLES: &str = "12";
/// The same in `--long`.
const EXAMPLES_LONG: &str = "200";

fn schemathesis() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/python/bin/schemathesis")
}

/// A new API token of a profile, by the command line.
fn token(program: &Program, id: &str) -> String {
    let output = easel().args(["user", "token", id, "--data"]).arg(program.data()).output().unwrap();
    assert!(output.status.success(), "easel user token: {}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.split_whitespace().last().expect("the token is the last word printed").to_owned()
}

#[test]
fn answers_are_what_the_document_says() {
    let program = Program::start(USERS);
    // It leaves a folder of its own where it runs.
    let folder = tempfile::tempdir().unwrap();
    let long = is_long();
    for id in ["zoe", "ada"] {
        let output = Command::new(schemathesis())
            .current_dir(folder.path())
            .args(["run", &program.at("/api/v1/openapi.json"), "--url", &program.url])
            .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
            .args(["--phases", "coverage,fuzzing", "--max-examples", if long { EXAMPLES_LONG } else { EXAMPLES }])
            .args(["--seed", "1", "--exclude-path-regex", "/events$", "--request-timeout", "20", "--continue-on-failure"])
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", token(&program, id)))
            .env("NO_COLOR", "1")
            .output()
            .expect("schemathesis is installed by setup/test.sh");
        let report = String::from_utf8_lossy(&output.stdout);
        let summary: Vec<&str> = report.lines().rev().take(25).collect();
        println!("as {id}:\n{}", summary.into_iter().rev().collect::<Vec<_>>().join("\n"));
        assert!(output.status.success(), "as {id}:\n{report}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
