//! Pages for everybody: axe-core on each page, in both themes, at 1440 and 360 pixels; every page by keyboard
//! has a focus to see and none scrolls sideways.

use super::Browser;
use crate::program::Program;
use serde_json::json;
use std::{path::Path, time::Duration};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

fn axe() -> String {
    // The package is installed there by the build of src/assets.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/assets/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Serious and critical findings as lines.
async fn findings(b: &Browser, axe: &str) -> Vec<String> {
    b.run(axe).await;
    let run = "return axe.run(document, {resultTypes: ['violations']}).then(r => r.violations \
               .filter(v => v.impact === 'serious' || v.impact === 'critical') \
               .map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', ')))";
    let found = b.run(run).await;
    found.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_no_serious_finding() {
    let program = Program::start(USERS);
    let axe = axe();
    let b = Browser::open(1440, 900).await;
    let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
    b.devtools("Emulation.setEmulatedMedia", still).await;
    let mut all = Vec::new();
    for (page, name) in [("/", "picker"), ("/studio", "studio"), ("/gallery", "gallery"), ("/profile", "profile")] {
        if page == "/studio" {
            b.pick(&program, "Zoe").await;
        }
        for (width, height) in [(1440, 900), (360, 740)] {
            b.resize(width, height).await;
            for theme in ["dark", "light"] {
                b.go(&program.at(page)).await;
                b.see("h1, .profile-card").await;
                b.run(&format!("document.documentElement.dataset.theme = '{theme}'; return true")).await;
                // A colour on its way from one theme to the other is nobody's contrast.
                b.until("no colour is on its way", "return document.getAnimations().length === 0").await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                let found = findings(&b, &axe).await;
                all.extend(found.iter().map(|f| format!("{page} {width} {theme}: {f}")));
                let sideways = b.run("return document.documentElement.scrollWidth > innerWidth").await;
                if sideways == true {
                    all.push(format!("{page} {width} {theme}: scrolls sideways"));
                }
                b.screenshot(&format!("{name}-{width}-{theme}")).await;
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
