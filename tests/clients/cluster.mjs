// Two servers with a common PostgreSQL database and Redis, behind HAProxy with the shipped configuration. It sends each request to the server with
// fewer connections, without sticky sessions.

import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startServer } from './server.mjs';

const { NATTER_TEST_POSTGRES: POSTGRES, NATTER_TEST_REDIS: REDIS } = process.env;

/** Reason why no cluster can be started here; undefined if it can. */
export const missing =
  POSTGRES && REDIS ? undefined : 'NATTER_TEST_POSTGRES and NATTER_TEST_REDIS name no services';

function query(statement) {
  const { status, stderr } = spawnSync('psql', [POSTGRES, '--quiet', '--command', statement], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`psql: ${stderr}`);
}

/** Replaces addresses in the shipped configuration. Throws if it doesn't contain one of them any more. */
function putInPlace(shipped, changes) {
  return Object.entries(changes).reduce((text, [there, here]) => {
    if (!text.includes(there)) throw new Error(`the shipped file has no ${there} any more`);
    return text.replaceAll(there, here);
  }, shipped);
}

export async function startCluster() {
  const name = `clients_${randomUUID().replaceAll('-', '')}`;
  query(`CREATE DATABASE ${name}`);
  const database = new URL(POSTGRES);
  database.pathname = `/${name}`;
  // Redis is shared with other tests, so each cluster uses one of its databases, chosen at random.
  const redis = new URL(REDIS);
  redis.pathname = `/${1 + Math.floor(Math.random() * 15)}`;
  const settings = {
    DATABASE__URL: database,
    DATABASE__MIGRATE_ON_START: 'true',
    REDIS__URL: redis,
    WORKSPACES__SHARED: 'Home',
    UPLOADS__URL: await mkdtemp(join(tmpdir(), 'natter-uploads-'))
  };
  const servers = [await startServer(settings), await startServer(settings)];
  const folder = await mkdtemp(join(tmpdir(), 'natter-haproxy-'));
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  const lines = servers.map(({ url }, place) => `  server i${place} ${new URL(url).host}\n`).join('');
  const shipped = await readFile(new URL('../../deploy/haproxy/haproxy.cfg', import.meta.url), 'utf8');
  await writeFile(
    file,
    putInPlace(shipped, {
      'bind :8080': `bind 127.0.0.1:${port}`,
      '  server natter-1 natter-1:8080\n  server natter-2 natter-2:8080\n': lines,
    }),
  );
  const balancer = spawn('haproxy', ['-f', file], {
    stdio: 'ignore',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`${url}/health/simple`).catch(() => undefined);
    if (answer?.ok) break;
    if (tries > 200) throw new Error('HAProxy does not answer');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    servers,
    stop: async () => {
      balancer.kill('SIGKILL');
      await Promise.all(servers.map((server) => server.stop()));
      query(`DROP DATABASE ${name} WITH (FORCE)`);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
