//! The defaults as they would stand in `easel.toml`, and a commented sample of it. Knows no types:
//! a test parses both.

/// Every default that does not depend on the place.
pub const DEFAULTS: &str = r#"
data = "data"
users = "users.toml"
bind = "127.0.0.1"
port = 8080
public_urls = []
log = "info"
log_format = "auto"
engine_idle_s = 600
engine_threads = 0
"#;

/// What `easel serve --print-config` prints. Every key is commented out at its default.
pub const SAMPLE: &str = r#"# easel.toml: read from the folder where Easel is started, else from the data folder, or named with --config.
# A flag wins over an EASEL_* variable (EASEL_PORT=9090), which wins over this file.

# Everything Easel writes lies below this folder. In a pod: "/workspace/easel".
# data = "data"

# The profiles that this studio starts with.
# users = "users.toml"

# Address and port to listen on. In a pod: "0.0.0.0". Anything but loopback asks for the studio key.
# bind = "127.0.0.1"
# port = 8080

# Further addresses under which browsers reach this studio, for example behind a proxy with HTTPS.
# Any other Host is refused.
# public_urls = ["https://studio.example.org"]

# What is logged (error, warn, info, debug, trace; also by part, as "info,panel=debug"), and how:
# "auto" is text on a terminal and JSON elsewhere.
# log = "info"
# log_format = "auto"

# The engine gives memory back after so many seconds without a job; its threads, 0 for one a core.
# engine_idle_s = 600
# engine_threads = 0

# Serve the front end from the folder that `node src/assets/bundle.mjs --watch` writes, while changing it.
# assets = "target/assets/dev"
"#;
