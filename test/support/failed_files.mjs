// A reporter for `node --test`: the files in which a test failed, one a line.
import { fileURLToPath } from 'node:url';

export default async function* (events) {
  const files = new Set();
  for await (const { type, data } of events) if (type === 'test:fail' && data.file) files.add(data.file);
  for (const file of files) yield (file.startsWith('file:') ? fileURLToPath(file) : file) + '\n'; // Node 18 gives a URL
}
