"use strict";

const at = (id) => document.getElementById(id);
const talk = at("talk"), text = at("text"), file = at("file"), state = at("state");
let model = "", messages = [], upload = null, stopping = null, pictures = false, paints = false;

function headers() {
  const token = at("token").value;
  return { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
}

function shown(url, kind) {
  const element = document.createElement(kind.startsWith("video/") ? "video" : "img");
  element.src = url;
  if (element.tagName === "VIDEO") element.controls = true;
  else element.alt = "the picture of the question";
  return element;
}

function say(kind, words = "") {
  const article = document.createElement("article");
  article.className = kind;
  const place = document.createElement("div");
  place.textContent = words;
  article.append(place);
  talk.append(article);
  article.scrollIntoView({ block: "end" });
  return place;
}

function render() {
  const busy = stopping !== null;
  document.querySelectorAll(".needs").forEach((button) => { button.disabled = busy; });
  at("upload").hidden = !pictures;
  at("paint").hidden = !paints;
  at("stop").hidden = !busy;
  file.disabled = busy || messages.length > 0;
  at("upload").classList.toggle("off", file.disabled);
  at("upload").title = messages.length ? "A talk is about the pictures of its first question: begin a new one" : "";
  at("shown").hidden = upload === null;
}

function drop() {
  upload = null;
  file.value = "";
  at("shown").replaceChildren();
}

function read(chosen) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(chosen);
  });
}

async function post(path, body) {
  const options = { method: "POST", headers: headers(), body: JSON.stringify(body), signal: stopping.signal };
  const response = await fetch(path, options);
  if (response.ok) return response;
  if (response.status === 401) at("locked").hidden = false;
  let message = `status ${response.status}`;
  try { message = (await response.json()).error.message; } catch { /* no answer of this server */ }
  throw new Error(message);
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.slice("data: ".length);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

async function work(words, action) {
  stopping = new AbortController();
  state.textContent = "The model is at work.";
  render();
  const started = performance.now();
  try {
    await action(words);
    state.textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  } catch (error) {
    state.textContent = "";
    if (error.name === "AbortError") {
      state.textContent = "Stopped.";
    } else {
      say("error", error.message);
      text.value ||= words;
    }
  } finally {
    stopping = null;
    render();
    text.focus();
  }
}

async function ask(words) {
  const own = say("user", words);
  let content = words;
  if (upload) {
    own.parentElement.prepend(shown(upload.url, upload.kind));
    const kind = upload.kind.startsWith("video/") ? "video_url" : "image_url";
    content = [{ type: "text", text: words }, { type: kind, [kind]: { url: upload.url } }];
  }
  const question = { role: "user", content };
  const response = await post("v1/chat/completions", { model, messages: [...messages, question], stream: true });
  drop();
  const place = say("assistant");
  let answer = "";
  try {
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      answer += event.choices[0]?.delta.content ?? "";
      place.textContent = answer;
      talk.scrollTop = talk.scrollHeight;
    }
  } finally {
    if (answer) messages.push(question, { role: "assistant", content: answer });
  }
}

async function paint(words) {
  say("user", `Make a picture: ${words}`);
  const response = await post("v1/images/generations", { model, prompt: words });
  const picture = document.createElement("img");
  picture.className = "made";
  picture.alt = words;
  picture.onload = () => { talk.scrollTop = talk.scrollHeight; };
  picture.src = `data:image/png;base64,${(await response.json()).data[0].b64_json}`;
  say("assistant").append(picture);
}

function start(action) {
  const words = text.value.trim();
  if (stopping !== null || (!words && !(action === ask && upload))) return;
  text.value = "";
  work(words, action);
}

at("form").addEventListener("submit", (event) => { event.preventDefault(); start(ask); });
at("paint").addEventListener("click", () => start(paint));
at("stop").addEventListener("click", () => stopping?.abort());
at("new").addEventListener("click", () => {
  stopping?.abort();
  messages = [];
  talk.replaceChildren();
  state.textContent = "";
  drop();
  render();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); start(ask); }
});
file.addEventListener("change", async () => {
  const [chosen] = file.files;
  if (!chosen) return;
  upload = { url: await read(chosen), kind: chosen.type };
  at("shown").replaceChildren(shown(upload.url, upload.kind));
  render();
});

fetch("health").then((response) => response.json()).then((found) => {
  model = found.model;
  pictures = found.pictures;
  paints = found.paints;
  at("model").textContent = document.title = model;
  render();
}, () => { state.textContent = "The server does not answer."; });
render();
