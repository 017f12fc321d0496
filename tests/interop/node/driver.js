// The Node SDK (npm: nacos 2.x, which speaks HTTP and is pushed to over UDP) behind JSON lines: see conftest.py.
'use strict';
const readline = require('readline');
const { NacosNamingClient } = require('nacos');

const [address, namespace] = process.argv.slice(2);
const quiet = () => {};
const logger = { debug: quiet, info: quiet, warn: console.error, error: console.error };
const listeners = {};

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const host = (i) => [i.ip, Number(i.port), Number(i.weight), i.healthy, i.metadata || {}];
const instance = (r) => ({
  ip: r.ip, port: r.port, weight: r.weight === undefined ? 1 : r.weight, healthy: true, enabled: true,
  ephemeral: r.ephemeral === undefined ? true : r.ephemeral, clusterName: r.cluster || 'DEFAULT', metadata: r.metadata || {},
});

async function run(client, r) {
  const group = r.group || 'DEFAULT_GROUP';
  switch (r.do) {
    case 'register':
      await client.registerInstance(r.service, instance(r), group);
      return null;
    case 'deregister':
      await client.deregisterInstance(r.service, instance(r), group);
      return null;
    case 'list':
      return (await client.getAllInstances(r.service, group, '', false)).map(host);
    case 'services': { // the client has it, but does not show it
      const found = await client._serverProxy.getServiceList(r.page, r.size, group);
      return [found.count, found.data];
    }
    case 'subscribe':
      listeners[r.service] = (hosts) => say({ push: r.service, hosts: hosts.map(host) });
      client.subscribe({ serviceName: r.service, groupName: group }, listeners[r.service]);
      return null;
    case 'unsubscribe':
      client.unSubscribe({ serviceName: r.service, groupName: group }, listeners[r.service]);
      return null;
    case 'close':
      await client.close();
      return null;
    default:
      throw new Error(r.do);
  }
}

async function main() {
  const client = new NacosNamingClient({ logger, serverList: address, namespace });
  client._hostReactor.on('error', (e) => console.error(e.message)); // polls of a server that is away
  client.on('error', (e) => console.error(e.message));
  process.on('unhandledRejection', (e) => console.error(e && e.message));
  await client.ready();
  say({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const r = JSON.parse(line);
    run(client, r).then(
      (value) => say({ id: r.id, ok: true, value }),
      (e) => say({ id: r.id, ok: false, error: `${e.name}: ${e.message}` }));
  }
}

main();
