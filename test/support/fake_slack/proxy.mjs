// An HTTP proxy that knows CONNECT only. Any host name is taken to mean loopback, so that names of no DNS can be used.
import http from 'node:http'; import net from 'node:net';

// Options: auth 'user:password' (407 without it), mode 'refuse' (403) | 'hang'. Both can be changed while it runs.
export async function startProxy({ port = 0, auth } = {}) {
  const open = new Set(), proxy = { connects: [], auth, mode: null };
  const server = http.createServer((req, res) => { res.writeHead(405); res.end(); });
  server.on('connection', s => { open.add(s); s.on('close', () => open.delete(s)); s.on('error', () => {}); });
  server.on('connect', (req, client, head) => {
    const refuse = line => client.end(`HTTP/1.1 ${line}\r\nContent-Length: 0\r\n\r\n`);
    proxy.connects.push({ at: Date.now(), target: req.url, headers: req.headers });
    if (proxy.mode === 'hang') return;
    if (proxy.mode === 'refuse') return refuse('403 Forbidden');
    if (proxy.auth && req.headers['proxy-authorization'] !== 'Basic ' + Buffer.from(proxy.auth).toString('base64')) return refuse('407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"');
    const up = net.connect(Number(req.url.split(':').at(-1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length) up.write(head);
      up.pipe(client); client.pipe(up);
    });
    open.add(up);
    up.on('error', () => client.destroy()); up.on('close', () => { open.delete(up); client.destroy(); }); client.on('close', () => up.destroy());
  });
  await new Promise(r => server.listen(port, '127.0.0.1', r));
  proxy.url = `http://${auth ? auth + '@' : ''}127.0.0.1:${server.address().port}`;
  proxy.stop = () => new Promise(r => { server.close(r); for (const s of open) s.destroy(); });
  return proxy;
}
