// A throw-away certificate authority and a server certificate for loopback, made with the openssl command.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs'; import os from 'node:os'; import path from 'node:path';

export function makeCertificates(dir = fs.mkdtempSync(path.join(os.tmpdir(), 'fake-slack-'))) {
  const at = name => path.join(dir, name), openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
  fs.mkdirSync(dir, { recursive: true });
  const authority = name => openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', `/CN=${name}`,
    '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', `${name}.key`, '-out', `${name}.pem`);
  authority('ca'); authority('other-ca');
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr');
  fs.writeFileSync(at('server.ext'), 'subjectAltName=DNS:localhost,DNS:slack.test,DNS:wss-primary.slack.test,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n');
  openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30', '-extfile', 'server.ext', '-out', 'server.pem');
  return { dir, caFile: at('ca.pem'), otherCaFile: at('other-ca.pem'), key: fs.readFileSync(at('server.key')), cert: fs.readFileSync(at('server.pem')) };
}
