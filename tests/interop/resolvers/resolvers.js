// What Node has for each name that is given, one line a name: dns.lookup (the C library) and then dns.resolve4 (c-ares) of
// names, dns.resolveSrv of those that begin with an underscore.
const dns = require('dns').promises

async function one (promise, text) {
  try {
    console.log((await promise).map(text).join(','))
  } catch (e) {
    console.log('error')
  }
}

async function all () {
  dns.setServers(['127.0.0.1:5300'])
  for (const name of process.argv.slice(2)) {
    if (name.startsWith('_')) {
      await one(dns.resolveSrv(name), r => `${r.priority} ${r.weight} ${r.port} ${r.name}`)
      continue
    }
    await one(dns.lookup(name, { all: true }), r => r.address)
    await one(dns.resolve4(name), r => r)
  }
}

all()
