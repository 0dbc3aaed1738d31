/** The page without a server. */
import { show } from "../show";
import { LocalService } from "./service";

show(new LocalService(document.baseURI));
// Without it (a browser that forbids it, an address that is not secure) the page works as long as its host does.
navigator.serviceWorker?.register(new URL("offline.js", document.baseURI)).catch(() => {});
