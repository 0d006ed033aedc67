// The admin pages: one script, and the part of the page that is open loaded behind it.

import { NOT_LOADED, toast } from "./toasts";

const page = document.querySelector<HTMLElement>("[data-admin-page]")?.dataset.adminPage;

const pages: Record<string, () => Promise<{ start: () => void }>> = {
  system: () => import("./admin/system"),
  users: () => import("./admin/users"),
  models: () => import("./admin/models"),
  jobs: () => import("./admin/jobs"),
  logs: () => import("./admin/logs"),
  audit: () => import("./admin/audit"),
  boot: () => import("./admin/boot"),
  containers: () => import("./admin/containers"),
  debug: () => import("./admin/debug"),
};

pages[page ?? ""]?.()
  .then((part) => part.start())
  .catch((e: unknown) => {
    toast(NOT_LOADED, { bad: true });
    throw e;
  });
