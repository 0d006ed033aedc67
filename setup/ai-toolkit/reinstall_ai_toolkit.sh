#!/usr/bin/env bash
# Makes AI-Toolkit anew; data sets, trained models, its database and settings stay.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/database.sh"

need_program git node npm
reinstall "$(dirname "${BASH_SOURCE[0]}")/install_ai_toolkit.sh" output datasets data models aitk_db.db .env
