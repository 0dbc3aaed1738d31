import { Client } from "./api/client";
import { askForToken } from "./parts/token-dialog";
import { show } from "./show";

show(new Client(document.baseURI, askForToken));
