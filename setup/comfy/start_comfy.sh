#!/usr/bin/env bash
# Runs ComfyUI on the port that Easel chose, for all profiles: the gate keeps them apart, by folders within its own and by
# users of its own.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

need EASEL_HOST EASEL_PORT
need_path EASEL_MODELS
ready
# Models that are got in it are for every tool to read. Its own folders let nobody else in.
umask 002

# The studio's models beside ComfyUI's own. In YAML a quote within single quotes is doubled.
model_paths() {
  printf "easel:\n  base_path: '%s'\n  is_default: true\n" "${EASEL_MODELS//\'/\'\'}"
  for kind in checkpoints configs loras vae clip_vision style_models embeddings controlnet gligen upscale_models \
    latent_upscale_models hypernetworks photomaker model_patches audio_encoders; do
    printf '  %s: %s\n' "$kind" "$kind"
  done
  printf '  text_encoders: |\n    text_encoders\n    clip\n  diffusion_models: |\n    diffusion_models\n    unet\n'
}
put "$EASEL_TOOL_DIR/model_paths.yaml" model_paths

arguments=(--listen "$EASEL_HOST" --port "$EASEL_PORT" --disable-auto-launch --preview-method auto
  --extra-model-paths-config "$EASEL_TOOL_DIR/model_paths.yaml" --multi-user)
# The Manager writes what Easel's transcripts have anyway, into a file named after the port, which is another one at every
# start.
rm -f "$APP"/user/comfyui_[0-9]*.log

python=$APP/venv/bin/python
if ! has_gpu; then
  arguments+=(--cpu)
elif "$python" -c 'import sageattention' 2>/dev/null; then
  arguments+=(--use-sage-attention)
fi
cd "$APP"
exec "$python" main.py "${arguments[@]}"
