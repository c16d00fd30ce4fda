// Official client of the tus protocol, which uploads a file over a connection that breaks.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Upload } from 'tus-js-client';
import { Person, startServer } from './server.mjs';

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

/** Starts a proxy to the server that closes a connection after `bytes` bytes, `times` times. */
async function breakingLine(bytes, times) {
  const { hostname, port } = new URL(server.url);
  const sockets = new Set();
  let left = times;
  const proxy = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let passed = 0;
    client.on('data', (piece) => {
      passed += piece.length;
      if (passed > bytes && left > 0) {
        left -= 1;
        client.destroy();
        upstream.end();
      }
    });
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    cuts: () => times - left,
    close: () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}

function send(person, base, file, options = {}) {
  return new Promise((resolve, reject) => {
    const upload = new Upload(file, {
      endpoint: `${base}/r1/uploads/tus`,
      headers: { authorization: `Bearer ${person.token}` },
      metadata: { filename: 'bản ghi.bin', filetype: 'application/octet-stream' },
      retryDelays: [0, 100, 300, 500, 1000, 1000],
      onError: reject,
      onSuccess: () => resolve(upload),
      ...options,
    });
    upload.start();
  });
}

async function assertWhole(person, upload, file) {
  const id = upload.url.split('/').at(-1);
  const described = await person.call('GET', `/r1/uploads/${id}`);
  assert.deepEqual([described.status, described.name, described.size], ['ready', 'bản ghi.bin', file.length]);
  assert.equal(described.sha256, createHash('sha256').update(file).digest('hex'));
  const answer = await fetch(`${server.url}/files/${id}/x`, { headers: { authorization: `Bearer ${person.token}` } });
  assert.ok(Buffer.from(await answer.arrayBuffer()).equals(file));
}

for (const [how, options] of [
  ['in one request', {}],
  ['with the first chunk in the creation request', { uploadDataDuringCreation: true }],
  ['in chunks of 1 MiB', { chunkSize: 1024 * 1024 }],
  ['by POST with a method override', { overridePatchMethod: true }],
]) {
  test(`a file is uploaded ${how}`, async () => {
    const anna = await Person.signUp(server.url, 'Anna');
    const file = randomBytes(5_000_000);
    await assertWhole(anna, await send(anna, server.url, file, options), file);
  });
}

test('an upload resumes after a lost connection', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  const file = randomBytes(20_000_000);
  const line = await breakingLine(6_000_000, 2);
  await assertWhole(anna, await send(anna, line.url, file), file);
  assert.equal(line.cuts(), 2);
  line.close();
});

test('an aborted upload is deleted', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  let upload;
  await new Promise((resolve, reject) => {
    upload = new Upload(randomBytes(3_000_000), {
      endpoint: `${server.url}/r1/uploads/tus`,
      headers: { authorization: `Bearer ${anna.token}` },
      chunkSize: 500_000,
      onError: reject,
      onChunkComplete: (_, sent) => sent > 1_000_000 && upload.abort(true).then(resolve, reject),
      onSuccess: () => reject(new Error('it was not given up')),
    });
    upload.start();
  });
  await assert.rejects(anna.call('GET', `/r1/uploads/${upload.url.split('/').at(-1)}`), /404/);
});
