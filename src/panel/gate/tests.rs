//! Gates over real connections: a real tool behind them, requests written byte by byte, and a clock that tests move.

mod carrying;
mod client;
mod entering;
mod hostile;
mod leaving;
mod tool;
mod waiting;

use super::*;
use crate::secrets::Fingerprint;
use crate::store::Store;
use crate::users::{Name, ProfileId, Role};
use client::{Answer, Request};
use jiff::Timestamp;
use tempfile::TempDir;
use tool::Tool;

/// A studio with two artists and an admin, a running tool, and an open gate in front of it.
struct Studio {
    gates: Gates,
    users: Users,
    logins: Logins,
    clock: Clock,
    /// Easel's own origin.
    panel: Origin,
    port: u16,
    tool: Tool,
    _folder: TempDir,
}

const PANEL: u16 = 8080;

impl Studio {
    async fn start() -> Studio {
        Studio::start_with(Admits::Everyone, |_| {}).await
    }

    async fn start_with(admits: Admits, change: impl FnOnce(&mut Config)) -> Studio {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(folder.path());
        change(&mut config);
        let clock = Clock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let store = Store::open(&folder.path().join("state")).unwrap();
        let users = Users::open(store.clone(), clock.clone()).await.unwrap();
        for (name, role) in [("Zoe", Role::Artist), ("Ada", Role::Admin), ("Mateo", Role::Artist)] {
            users.add(Name::parse(name).unwrap(), None, role, "test").await.unwrap();
        }
        let logins = Logins::open(store, clock.clone()).await.unwrap();
        let origins = Origins::of(&config, PANEL).unwrap();
        let panel = origins.own().clone();
        let gates = Gates::new(Arc::new(config), origins, users.clone(), logins.clone(), clock.clone());
        let tool = Tool::start().await;
        let port = gates
            .open(GateSpec { tool: "comfy".into(), name: "ComfyUI".into(), port: 0, admits, isolation: None })
            .await
            .unwrap();
        gates.set("comfy", GateState::Open { upstream: tool.address, authorization: None }).unwrap();
        Studio { gates, users, logins, clock, panel, port, tool, _folder: folder }
    }

    /// A new login of a profile.
    async fn login(&self, profile: &str) -> Visitor {
        let profile = ProfileId::parse(profile).unwrap();
        let token = self.logins.begin(Some(profile.clone()), true).await.unwrap();
        Visitor { profile, login: Fingerprint::of(token.expose()) }
    }

    /// Posts a ticket as Easel's page does.
    async fn post_ticket(&self, ticket: &str) -> Answer {
        let request = Request::post(self.port, ENTER, &format!("ticket={ticket}")).origin(&self.panel.to_string());
        request.header("content-type", "application/x-www-form-urlencoded").send().await
    }

    /// The cookie of a new pass.
    async fn enter(&self, visitor: &Visitor) -> String {
        let ticket = self.gates.ticket("comfy", visitor).unwrap();
        let answer = self.post_ticket(ticket.secret.expose()).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:?}");
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_string()
    }

    async fn pass_of(&self, profile: &str) -> String {
        self.enter(&self.login(profile).await).await
    }

    fn get(&self, path: &str) -> Request {
        Request::new(self.port, "GET", path)
    }

    /// Status of the tool's plainest page with this cookie.
    async fn status(&self, cookie: &str) -> u16 {
        self.get("/hello").cookie(cookie).send().await.status
    }
}

#[tokio::test]
async fn gates_are_found_by_their_tools() {
    let studio = Studio::start().await;
    let again = GateSpec { tool: "comfy".into(), name: "ComfyUI".into(), port: 0, admits: Admits::Everyone, isolation: None };
    assert!(matches!(studio.gates.open(again).await, Err(GateError::AlreadyOpen(_))));
    let taken =
        GateSpec { tool: "swarm".into(), name: "SwarmUI".into(), port: studio.port, admits: Admits::Everyone, isolation: None };
    let refused = studio.gates.open(taken).await.unwrap_err().to_string();
    assert!(refused.contains(&studio.port.to_string()) && refused.contains("swarm"), "{refused}");
    assert!(matches!(studio.gates.set("swarm", GateState::Closed), Err(GateError::Unknown(_))));
    let address = studio.gates.address("comfy", &Origin::parse("http://localhost:8080").unwrap()).unwrap();
    assert_eq!(address.to_string(), format!("http://localhost:{}", studio.port));
}

#[tokio::test]
async fn a_closed_gate_listens_no_more_and_opens_again() {
    let studio = Studio::start().await;
    studio.gates.close("comfy").await.unwrap();
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", studio.port)).await.is_err());
    assert!(matches!(studio.gates.close("comfy").await, Err(GateError::Unknown(_))));
    let spec =
        GateSpec { tool: "comfy".into(), name: "ComfyUI".into(), port: studio.port, admits: Admits::Everyone, isolation: None };
    assert_eq!(studio.gates.open(spec).await.unwrap(), studio.port);
    assert_eq!(studio.status("").await, 401);
    studio.gates.close_all().await;
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", studio.port)).await.is_err());
}
