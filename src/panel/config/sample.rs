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
engine_device = "auto"
engine_threads = 0
engine_cublaslt = true
shell = true
private_downloads = false
containers = "auto"
idle_stop_min = 0
runpod_api = "https://api.runpod.io/v2"
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

# The engine gives memory back after so many seconds without a job; what it computes on ("auto" is an engine on each GPU that
# works, else one on the CPU; "cpu", "gpu", a GPU by its number, "gpu:1", or several: "gpu:0,gpu:2"); its threads on the CPU, 0
# for one a core, which several engines on the CPU share; and whether a GPU's linear layers may be NVIDIA's cuBLASLt's where this
# machine has it (`easel doctor` says which), or the engine's own.
# engine_idle_s = 600
# engine_device = "auto"
# engine_threads = 0
# engine_cublaslt = true

# Tools are installed below this folder. In a pod: "/workspace"; elsewhere "workspace" in the data folder.
# workspace = "data/workspace"

# Admins in admin mode may open a shell, as the user that Easel runs as.
# shell = true

# The folder of tools, each a folder with tool.toml and its scripts; used as it is. Without this key it is the one that
# ships inside the program, unpacked to the data folder. The variable is EASEL_SETUP_DIR.
# setup = "setup"

# How tools run whose tool.toml names a container image: "auto" is in a container of Docker or Podman where there is an engine
# (DOCKER_HOST=unix:///path, else the usual sockets) and as a process elsewhere; "process" and "container" are just that.
# Whoever may use an engine's socket is as good as root on this machine.
# containers = "auto"

# Models may come from private addresses too, such as a disk server in the same network, and captions from a vision
# model there. In a pod, whose neighbours and whose provider's own services have private addresses, leave it off.
# private_downloads = false

# Repositories that are brought in step at each start, and when an admin says so: fast-forward only, edits kept. Tools (its folder
# setup/) and profiles (users.toml) come from the one called "studio". Variables say the same: EASEL_REPO, EASEL_REPO_BRANCH, and
# EASEL_REPO_TOKEN, a secret, for https, which only the host of that one is shown. Keys and known hosts for ssh are in the folder "ssh": ~/.ssh, in a pod /workspace/.ssh.
# A required one must be there, or the studio does not start.
# boot.ssh = "/workspace/.ssh"
# boot.authority = "/workspace/house-ca.pem"
# boot.repos.studio.url = "https://github.com/me/studio.git"
# boot.repos.studio.branch = "main"
# boot.repos.studio.path = "data/repos/studio"
# boot.repos.studio.required = false

# A pod of RunPod stops itself when for so many minutes there was no job, no terminal, no busy tool and nobody at work; 0: never.
# Before that everybody sees a countdown of ten minutes, and can end it. What is on the volume stays; the GPU may be gone.
# idle_stop_min = 0

# RunPod's own interface, which is asked what the pod costs, and to stop it. RUNPOD_API_KEY is its key.
# runpod_api = "https://api.runpod.io/v2"

# Serve the front end from the folder that `node src/assets/bundle.mjs --watch` writes, while changing it.
# assets = "target/assets/dev"
"#;
