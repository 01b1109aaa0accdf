// socket.io-client, and Sails' client over it, as apps use them. Run in the folder whose node_modules has them.
const { createRequire } = require("node:module");
const load = createRequire(`${process.cwd()}/`);
const { io, Manager } = load("socket.io-client");

const [, , url, part, transport] = process.argv;
const said = [];
const end = () => { console.log(JSON.stringify(said)); process.exit(); };

function direct() {
  const socket = io(url, { transports: [transport], auth: { token: "ada" } });
  const ask = (event, message) => socket.emitWithAck(event, message);
  socket.on("connect", async () => {
    said.push(socket.io.engine.transport.name);
    said.push(await ask("get", { url: "/hello/" }));
    const note = { slug: `node-${transport}`, text: "one" };
    said.push((await ask("post", { url: "/api/notes/", data: note })).statusCode);
    const png = await ask("get", { url: "/odd/png/" });
    said.push([...png.body.subarray(0, 4)]);
    const sent = await ask("put", { url: "/echo/", data: Buffer.from([0, 255]), token: "ada",
      headers: { "x-csrftoken": "a".repeat(32) } });
    said.push(sent.statusCode);
    said.push((await ask("subscribe", { url: `/api/notes/node-${transport}/`, live: true })).body.text);
    const changed = new Promise((done) => socket.on("replace", (data, about) => done([data.text, about.rev])));
    await ask("patch", { url: `/api/notes/node-${transport}/`, data: { text: "two" } });
    said.push(await changed);
    said.push((await ask("delete", { url: `/api/notes/node-${transport}/` })).statusCode);
    socket.close();
    end();
  });
}

function refused() {
  const socket = io(url, { transports: [transport], auth: { token: "a\nb" } });
  socket.on("connect_error", (error) => {
    said.push(error.data.statusCode, error.data.body.code, socket.active);
    socket.close();
    end();
  });
}

function dropped() {
  const socket = io(url, { transports: [transport], reconnectionDelay: 1 });
  let times = 0;
  socket.on("hello", ({ connection }) => {
    times += 1;
    if (times === 1) console.log(connection);
    else { socket.close(); end(); }
  });
  socket.on("closing", ({ code }) => said.push(code));
  socket.on("disconnect", (reason) => { if (times === 1) said.push(reason); });
}

function sails() {
  // It hands socket.io-client a path of undefined, and knows no Manager's events on a socket.
  const client = (address, options) => io(address, { ...options, path: "/socket.io/", transports: [transport] });
  const sdk = load("sails.io.js")(Object.assign(client, { Manager }));
  sdk.sails.autoConnect = false;
  sdk.sails.environment = "production";
  const socket = sdk.sails.connect(url);
  socket.on("connect", () => {
    socket.get("/echo/sails", { a: 1 }, (body, jwr) => {
      said.push(body.rest, body.get, jwr.statusCode, jwr.headers["content-type"]);
      socket.get("/nowhere/", (_, missing) => {
        said.push(missing.statusCode, missing.error.message.includes("404"));
        end();
      });
    });
  });
}

({ direct, refused, dropped, sails })[part]();
