import { render } from "preact";
import { Client } from "./api/client";
import { App } from "./app";
import { askForToken } from "./parts/token-dialog";
import { applyTheme } from "./theme";
import { Workspace } from "./workspace";

const client = new Client(document.baseURI, askForToken);
const workspace = new Workspace(client, document.baseURI);

applyTheme();
render(<App workspace={workspace} />, document.getElementById("page")!);
void workspace.loadModels();
