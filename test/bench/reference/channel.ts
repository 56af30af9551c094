// The reference: a webhook channel as one would write it with the MCP SDK, in the shape of the official example. Listens for POSTs on
// WEBHOOK_PORT and passes each alert on as one channel event. With REFERENCE_DB the body of each POST is committed before it is answered.
// Runs on Bun and on Node.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';

const onBun = 'bun' in process.versions;

const mcp = new Server({ name: 'webhook', version: '0.0.1' }, {
  capabilities: { experimental: { 'claude/channel': {} } },
  instructions: 'Alerts arrive as <channel source="webhook" ...>. They are one-way: read them and act, no reply is expected.',
});

// SQLite of the runtime; an older Node has none: the same API from a package.
async function openDatabase(file: string) {
  if (onBun) return new (await import('bun:sqlite')).Database(file);
  try {
    return new (await import('node:sqlite')).DatabaseSync(file);
  } catch {
    return new (await import('libsql')).default(file);
  }
}

async function openStore(file: string): Promise<(body: string) => void> {
  const db = await openDatabase(file);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS post(id INTEGER PRIMARY KEY, body TEXT NOT NULL)');
  const insert = db.prepare('INSERT INTO post(body) VALUES(?)');
  return body => { insert.run(body); };
}

const keep = process.env.REFERENCE_DB ? await openStore(process.env.REFERENCE_DB) : undefined;
await mcp.connect(new StdioServerTransport());

async function take(body: string): Promise<string> {
  const { alerts } = JSON.parse(body);
  keep?.(body);
  for (const alert of alerts) {
    await mcp.notification({
      method: 'notifications/claude/channel',
      params: { content: JSON.stringify(alert), meta: { alertname: alert.labels.alertname, severity: alert.labels.severity, status: alert.status } },
    });
  }
  return 'ok';
}

const hostname = '127.0.0.1', port = Number(process.env.WEBHOOK_PORT);
if (onBun) {
  Bun.serve({ hostname, port, fetch: async request => new Response(request.method === 'POST' ? await take(await request.text()) : 'ok') });
} else {
  const { createServer } = await import('node:http');
  createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    response.end(request.method === 'POST' ? await take(Buffer.concat(parts).toString()) : 'ok');
  }).listen(port, hostname);
}
