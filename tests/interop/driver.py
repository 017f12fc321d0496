"""The Python SDK (nacos-sdk-python 3.x, or the asynchronous part of 2.0.9) behind JSON lines: see conftest.py."""
import asyncio
import json
import sys

try:
    from v2.nacos import NacosNamingService, ClientConfigBuilder
    from v2.nacos.naming.model.naming_param import (BatchRegisterInstanceParam, DeregisterInstanceParam, ListInstanceParam,
                                                     ListServiceParam, RegisterInstanceParam, SubscribeServiceParam)
except ImportError as missing:
    sys.exit(f"the SDK cannot be imported: {missing}")

callbacks = {}


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def host(i):
    return [i.ip, i.port, i.weight, i.healthy, i.metadata]


def instance(r, ip=None, port=None):
    return RegisterInstanceParam(service_name=r["service"], group_name=r.get("group", "DEFAULT_GROUP"), ip=ip or r["ip"],
                                 port=port or r["port"], weight=r.get("weight", 1.0), metadata=r.get("metadata", {}),
                                 cluster_name=r.get("cluster", "DEFAULT"), ephemeral=r.get("ephemeral", True))


def subscription(r):
    name = r["service"]

    async def told(hosts):
        say(push=name, hosts=[host(i) for i in hosts])

    return SubscribeServiceParam(service_name=name, group_name=r.get("group", "DEFAULT_GROUP"),
                                 subscribe_callback=callbacks.setdefault(name, told), clusters=r.get("clusters", []))


async def run(client, r):
    group = r.get("group", "DEFAULT_GROUP")
    do = r["do"]
    if do == "register":
        return await client.register_instance(instance(r))
    if do == "batch":
        return await client.batch_register_instances(BatchRegisterInstanceParam(
            service_name=r["service"], group_name=group, instances=[instance(r, ip, port) for ip, port in r["hosts"]]))
    if do == "deregister":
        return await client.deregister_instance(DeregisterInstanceParam(
            service_name=r["service"], group_name=group, ip=r["ip"], port=r["port"], cluster_name=r.get("cluster", "DEFAULT"),
            ephemeral=r.get("ephemeral", True)))
    if do == "list":
        return [host(i) for i in await client.list_instances(ListInstanceParam(
            service_name=r["service"], group_name=group, clusters=r.get("clusters", []), subscribe=False, healthy_only=None))]
    if do == "select":
        return [host(i) for i in await client.list_instances(ListInstanceParam(
            service_name=r["service"], group_name=group, clusters=r.get("clusters", []), subscribe=False,
            healthy_only=r.get("healthy", True)))]
    if do == "one":
        raise NotImplementedError("this SDK leaves the choice to its user")
    if do == "services":
        found = await client.list_services(ListServiceParam(group_name=group, page_no=r["page"], page_size=r["size"]))
        return [found.count, found.services]
    if do == "subscribe":
        return await client.subscribe(subscription(r))
    if do == "unsubscribe":
        return await client.unsubscribe(subscription(r))
    if do == "close":
        return await client.shutdown()
    raise ValueError(do)


async def main():
    config = (ClientConfigBuilder().server_address(sys.argv[1]).namespace_id(sys.argv[2]).log_dir(sys.argv[3])
              .cache_dir(sys.argv[3]).build())
    config.set_update_cache_when_empty(True) if hasattr(config, "set_update_cache_when_empty") else None
    client = await NacosNamingService.create_naming_service(config)
    say(ready=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        r = json.loads(line)
        try:
            say(id=r["id"], ok=True, value=await run(client, r))
        except Exception as e:  # whatever the SDK says
            say(id=r["id"], ok=False, error=f"{type(e).__name__}: {e}")
        if r["do"] == "close":
            return


asyncio.run(main())
