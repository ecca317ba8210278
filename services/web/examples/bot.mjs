// A bot in ten lines. Node 22 or later, or 20 with --experimental-websocket:
//   RINGSIDE_URL=http://127.0.0.1:8080 BOT_LOGIN=echo BOT_PASSWORD=… node services/web/examples/bot.mjs
import { Ringside } from "../assets/ringside.js";

if (typeof WebSocket === "undefined") {
  console.error("this Node has no WebSocket: use Node 22, or node --experimental-websocket");
  process.exit(1);
}
const { RINGSIDE_URL: url = "http://127.0.0.1:8080", BOT_LOGIN: login = "echo", BOT_PASSWORD: password } = process.env;
const bot = new Ringside({ url });
const me = await bot.login({ login, password });
bot.on("message", (channel, { message_id, content, metadata }) => {
  const spokenTo = channel.type === "dm" || content.includes(`@${me.username}`) || metadata?.mentions?.includes(me.id);
  if (spokenTo) bot.send(channel.id, { content: `You said: ${content.replace(`@${me.username}`, "").trim()}`, reply_to: message_id });
});
bot.on("state", ({ name, reason = "" }) => console.log(name, reason));
bot.connect();
