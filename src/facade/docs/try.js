"use strict";
// Shows what takes a script, and sends what is filled in. Text of the service goes into the page as text alone.
for (const hidden of document.querySelectorAll(".try")) hidden.hidden = false;

const LONGEST = 100000;
// In milliseconds. A write may wait for its place at the backend and for its answer, a minute and more.
const PATIENCE = 10000;
const PATIENCE_OF_WRITES = 120000;
const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

// A random UUID (RFC 9562, version 4). `crypto.randomUUID` is not there on pages of another host that came without TLS.
function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function request(form) {
    let path = form.dataset.path;
    const query = [];
    const headers = {};
    for (const input of form.querySelectorAll("input[data-in]")) {
        const { in: place, name, each } = input.dataset;
        if (place === "path") path = path.replace(`{${name}}`, () => encodeURIComponent(input.value).replaceAll("%7E", "~"));
        if (input.value === "" && each === "uuid") headers[name] = `"${uuid()}"`;
        if (input.value === "") continue;
        if (place === "query") query.push(encodeURIComponent(name) + "=" + encodeURIComponent(input.value));
        if (place === "header") headers[name] = input.value;
    }
    for (const select of form.querySelectorAll("select[data-in]")) headers[select.dataset.in] = select.value;
    const body = form.querySelector("textarea[data-in=body]");
    const key = document.getElementById("key").value.trim();
    if (key !== "") headers.Authorization = "Bearer " + key;
    const url = path + (query.length ? "?" + query.join("&") : "");
    return { method: form.dataset.method, url, headers, body: body ? body.value : undefined };
}

function command({ method, url, headers, body }) {
    const words = ["curl", "-i", "-g"];
    if (method !== "GET") words.push("-X", method);
    for (const [name, value] of Object.entries(headers)) {
        words.push("-H", name === "Authorization" ? '"Authorization: Bearer $KEY"' : quoted(`${name}: ${value}`));
    }
    if (body !== undefined) words.push("--data-binary", quoted(body));
    words.push('"$URL"' + quoted(url));
    return words.join(" ");
}

// A stream may have no end: what has come within some seconds is shown.
async function text(answer, stop) {
    const reader = answer.body ? answer.body.getReader() : null;
    const decoder = new TextDecoder();
    let found = "";
    try {
        for (let part = reader && (await reader.read()); part && !part.done; part = await reader.read()) {
            found += decoder.decode(part.value, { stream: true });
            if (found.length > LONGEST) {
                found = found.slice(0, LONGEST) + "\n[...]";
                stop.abort();
                break;
            }
        }
    } catch (fault) {
        if (fault.name !== "AbortError") throw fault;
        found += "\n[...]";
    }
    return found;
}

async function send(form) {
    const shown = form.parentElement.querySelector(".answer");
    const asked = request(form);
    form.parentElement.querySelector(".curl").textContent = command(asked);
    shown.textContent = "...";
    const stop = new AbortController();
    const writes = asked.method !== "GET";
    const patience = writes ? PATIENCE_OF_WRITES : PATIENCE;
    const timer = setTimeout(() => stop.abort(), patience);
    try {
        const answer = await fetch(asked.url, { ...asked, credentials: "omit", cache: "no-store", signal: stop.signal });
        const head = [`${answer.status} ${answer.statusText}`];
        for (const [name, value] of answer.headers) head.push(`${name}: ${value}`);
        let body = await text(answer, stop);
        if (/json/.test(answer.headers.get("content-type") || "") && !/ndjson/.test(answer.headers.get("content-type"))) {
            // Numbers keep their digits: only white space is added.
            body = indented(body);
        }
        shown.textContent = head.join("\n") + "\n\n" + body;
    } catch (fault) {
        const why = fault.name === "AbortError" ? `no answer came within ${patience / 1000} seconds` : fault.message;
        shown.textContent = "There was no answer: " + why + (writes ? doubt(asked.headers) : "");
    } finally {
        clearTimeout(timer);
    }
}

// What may be when no answer to a write has come.
function doubt(headers) {
    const key = headers["Idempotency-Key"];
    const again = key === undefined ? "" : ` Fill in Idempotency-Key ${key} and send it again: nothing is done twice, and the answer is that of this write.`;
    return "\nIt may be done all the same, now or later." + again;
}

function indented(json) {
    let out = "";
    let depth = 0;
    let within = false;
    for (let at = 0; at < json.length; at++) {
        const c = json[at];
        const line = () => "\n" + "  ".repeat(Math.max(depth, 0));
        if (within) {
            out += c;
            if (c === "\\") out += json[++at] ?? "";
            else if (c === '"') within = false;
        } else if (c === '"') {
            within = true;
            out += c;
        } else if ("{[".includes(c)) {
            depth++;
            out += "}]".includes(json[at + 1]) ? c : c + line();
        } else if ("}]".includes(c)) {
            depth--;
            out += ("{[".includes(json[at - 1]) ? "" : line()) + c;
        } else if (c === ",") {
            out += c + line();
        } else if (c === ":") {
            out += ": ";
        } else if (!/\s/.test(c)) {
            out += c;
        }
    }
    return out;
}

for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (form.dataset.method) send(form);
    });
}

// A link to an operation or a schema opens it.
function open() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", open);
open();
