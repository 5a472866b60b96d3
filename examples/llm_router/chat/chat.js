// Sends a message to the router, and shows the answer token by token.

const talk = document.getElementById("talk");
const text = document.getElementById("text");
const model = document.getElementById("model");
const messages = [];

const { data } = await (await fetch("v1/models")).json();
model.append(...data.map(({ id }) => new Option(id, id)));

document.getElementById("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  messages.push({ role: "user", content: text.value });
  say("user", text.value);
  text.value = "";
  const answer = say("assistant", "");
  const began = performance.now();
  try {
    const { first, tokens, content } = await stream(answer.firstChild, began);
    messages.push({ role: "assistant", content });
    const seconds = (performance.now() - began) / 1000;
    note(answer, `${tokens} chunks in ${seconds.toFixed(1)} s, the first after ${Math.round(first)} ms`);
  } catch (error) {
    answer.className = "failed";
    note(answer, error.message);
  }
});

async function stream(node, began) {
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: model.value, stream: true, messages }),
  });
  if (!response.ok) throw new Error((await response.json()).error?.message ?? `status ${response.status}`);
  let [rest, content, tokens, first] = ["", "", 0, undefined];
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const event = JSON.parse(line.slice(6));
      if (event.error) throw new Error(event.error.message);
      const piece = event.choices?.[0]?.delta?.content;
      if (!piece) continue;
      first ??= performance.now() - began;
      tokens += 1;
      content += piece;
      node.textContent = content;
    }
  }
  return { first: first ?? 0, tokens, content };
}

function say(role, content) {
  const item = document.createElement("li");
  item.className = role;
  item.append(document.createTextNode(content));
  talk.append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

function note(item, words) {
  const small = document.createElement("small");
  small.textContent = words;
  item.append(small);
  item.scrollIntoView({ block: "end" });
}
