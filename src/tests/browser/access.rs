//! Pages for everybody: axe-core on each page, in both themes, at 1440 and 360 pixels; every page by keyboard
//! has a focus to see and none scrolls sideways.

use super::Browser;
use crate::program::Program;
use serde_json::json;
use std::{path::Path, time::Duration};

const USERS: &str = "[[user]]\nname = \"Zoe\"\n\n[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";

/// The script of axe-core.
pub(crate) fn axe() -> String {
    // The package is installed there by the build of src/assets.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/assets/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Serious and critical findings as lines.
pub(crate) async fn findings(b: &Browser, axe: &str) -> Vec<String> {
    b.run(axe).await;
    let run = "return axe.run(document, {resultTypes: ['violations']}).then(r => r.violations \
               .filter(v => v.impact === 'serious' || v.impact === 'critical') \
               .map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).join(', ')))";
    let found = b.run(run).await;
    found.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// Waits until a page stands still: a colour on its way from one theme to the other is nobody's contrast.
pub(crate) async fn settle(b: &Browser) {
    b.until("no colour is on its way", "return document.getAnimations().length === 0").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// Asks for no movement, so that pages stand still.
pub(crate) async fn calm(b: &Browser) {
    let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
    b.devtools("Emulation.setEmulatedMedia", still).await;
}

/// Looks at one page in both themes and widths, keeps its screenshots under a name; what is wrong with it.
pub(crate) async fn look_at(b: &Browser, url: &str, seen: &str, name: &str) -> Vec<String> {
    let (axe, mut all) = (axe(), Vec::new());
    for (width, height) in [(1440, 900), (360, 740)] {
        b.resize(width, height).await;
        for theme in ["dark", "light"] {
            b.go(url).await;
            b.see(seen).await;
            b.run(&format!("document.documentElement.dataset.theme = '{theme}'; return true")).await;
            settle(b).await;
            let found = findings(b, &axe).await;
            all.extend(found.iter().map(|f| format!("{name} {width} {theme}: {f}")));
            if b.run("return document.documentElement.scrollWidth > innerWidth").await == true {
                all.push(format!("{name} {width} {theme}: scrolls sideways"));
            }
            b.screenshot(&format!("{name}-{width}-{theme}")).await;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_no_serious_finding() {
    let program = Program::start(USERS);
    let b = Browser::open(1440, 900).await;
    calm(&b).await;
    let mut all = look_at(&b, &program.at("/"), ".profile-card", "picker").await;
    b.pick(&program, "Zoe").await;
    for name in ["studio", "gallery", "profile"] {
        all.extend(look_at(&b, &program.at(&format!("/{name}")), "h1", name).await);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    b.close().await;
}
