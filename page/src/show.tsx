import { render } from "preact";
import type { Service } from "./api/service";
import { App } from "./app";
import { applyTheme } from "./theme";
import { Workspace } from "./workspace";

/** Shows the page. */
export function show(service: Service): void {
  const workspace = new Workspace(service);
  applyTheme();
  render(<App workspace={workspace} />, document.getElementById("page")!);
  void workspace.loadModels();
}
