import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Client } from "../src/api/client";

const sent: { url: string; token: string | null }[] = [];
let answers: (Response | Promise<Response>)[] = [];

const stored = new Map<string, string>();
globalThis.sessionStorage = {
  getItem: (key: string) => stored.get(key) ?? null,
  setItem: (key: string, value: string) => void stored.set(key, value),
} as Storage;
globalThis.fetch = async (url, init) => {
  sent.push({ url: String(url), token: new Headers(init?.headers).get("Authorization") });
  return answers.shift()!;
};

beforeEach(() => {
  sent.length = 0;
  stored.clear();
});

const json = (body: unknown, status = 200, headers = {}) => Response.json(body, { status, headers });
const client = (token: string | null = null) => new Client("http://here/below/", async () => token);
const sound = { blob: new Blob(["x"]), name: "call.wav" };

test("requests stay below the page's address and name model and channel", async () => {
  answers = [json({}), json({})];
  await client().timeline(sound, "my model", "each", new AbortController().signal);
  assert.equal(sent[0]!.url, "http://here/below/v1/timeline?model=my+model&channel=each&format=json");
  await client().timelineFile(sound, "emodb", null, "srt");
  assert.equal(sent[1]!.url, "http://here/below/v1/timeline?model=emodb&format=srt");
});

test("401 asks for the token, sends again, and remembers it", async () => {
  answers = [json({ error: "token" }, 401), json([])];
  assert.deepEqual(await client("secret").models(), []);
  assert.deepEqual(
    sent.map(({ token }) => token),
    [null, "Bearer secret"],
  );
  assert.equal(stored.get("serkit.token"), "secret");
});

test("requests that are refused together ask once", async () => {
  let asked = 0;
  const shared = new Client("http://here/", async () => {
    asked++;
    return "secret";
  });
  answers = [json({}, 401), json({}, 401), json([]), json([])];
  await Promise.all([shared.models(), shared.models()]);
  assert.equal(asked, 1);
});

test("a refusal that comes after the token was given does not ask again", async () => {
  let asked = 0;
  const shared = new Client("http://here/", async () => {
    asked++;
    return "secret";
  });
  let refuse!: (response: Response) => void;
  const late = new Promise<Response>((resolve) => (refuse = resolve));
  answers = [late, json({}, 401), json([]), json([])];
  const first = shared.models();
  await shared.models();
  refuse(json({}, 401));
  await first;
  assert.equal(asked, 1);
});

test("without a token there is an error, not a second request", async () => {
  answers = [json({ error: "token" }, 401)];
  await assert.rejects(client().models(), { message: "The server wants a token." });
  assert.equal(sent.length, 1);
});

test("the server's own line is shown, with the time to wait", async () => {
  answers = [json({ error: "call.wav: no audio in it" }, 422), json({ error: "busy" }, 503, { "Retry-After": "2" })];
  await assert.rejects(client().models(), { message: "call.wav: no audio in it" });
  await assert.rejects(client().models(), { message: "busy (try again in 2 s)" });
});

test("an answer that is no JSON still says something", async () => {
  answers = [new Response("<html>", { status: 502, statusText: "Bad Gateway" })];
  await assert.rejects(client().models(), { message: "The server answered 502 Bad Gateway" });
});
