import net, { type Socket } from "node:net";

/**
 * Run inside the sandbox with a listening socket as descriptor 3, opened outside on loopback: connections come from
 * outside, go on to an address inside. `node relay.ts ADDRESS PORT`.
 */
const [address = "", port = ""] = process.argv.slice(2);

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on("error", () => to.destroy());
  from.on("close", () => to.destroy());
}

net
  .createServer({ allowHalfOpen: true, noDelay: true }, (outside) => {
    const inside = net.connect({
      host: address,
      port: Number(port),
      allowHalfOpen: true,
      noDelay: true,
    });
    join(outside, inside);
    join(inside, outside);
  })
  .listen({ fd: 3 });
