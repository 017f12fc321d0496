// nacos-client of any generation (1.4, 2.x, 3.x) behind JSON lines: see conftest.py. Of the environment: ENDPOINT, host:port,
// stands for the list of servers, and NACOS_USER is somebody with a password.
import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.EventListener;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.alibaba.nacos.api.naming.pojo.ListView;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

public class Driver {
    static final Map<String, EventListener> LISTENERS = new HashMap<>();

    static List<Object> hosts(List<Instance> list) {
        List<Object> told = new ArrayList<>();
        for (Instance i : list) {
            told.add(Arrays.asList(i.getIp(), i.getPort(), i.getWeight(), i.isHealthy(), i.getMetadata()));
        }
        return told;
    }

    static Instance instance(JsonNode r, String ip, int port) {
        Instance i = new Instance();
        i.setIp(ip);
        i.setPort(port);
        i.setWeight(r.path("weight").asDouble(1.0));
        i.setEphemeral(r.path("ephemeral").asBoolean(true));
        i.setClusterName(r.path("cluster").asText("DEFAULT"));
        Map<String, String> metadata = new HashMap<>();
        r.path("metadata").fields().forEachRemaining(e -> metadata.put(e.getKey(), e.getValue().asText()));
        i.setMetadata(metadata);
        return i;
    }

    static List<String> clusters(JsonNode r) {
        List<String> names = new ArrayList<>();
        r.path("clusters").forEach(name -> names.add(name.asText()));
        return names;
    }

    static Object run(NamingService c, JsonNode r) throws Exception {
        String service = r.path("service").asText(), group = r.path("group").asText("DEFAULT_GROUP");
        Instance one = instance(r, r.path("ip").asText(), r.path("port").asInt());
        switch (r.get("do").asText()) {
            case "register":
                c.registerInstance(service, group, one);
                return null;
            case "batch": {
                List<Instance> all = new ArrayList<>();
                for (JsonNode h : r.get("hosts")) {
                    all.add(instance(r, h.get(0).asText(), h.get(1).asInt()));
                }
                // not there in 1.4: compiled against each generation, so by name
                c.getClass().getMethod("batchRegisterInstance", String.class, String.class, List.class).invoke(c, service, group, all);
                return null;
            }
            case "deregister":
                c.deregisterInstance(service, group, one);
                return null;
            case "list":
                return hosts(c.getAllInstances(service, group, clusters(r), false));
            case "select":
                return hosts(c.selectInstances(service, group, clusters(r), r.path("healthy").asBoolean(true), false));
            case "one":
                return hosts(List.of(c.selectOneHealthyInstance(service, group, clusters(r), false)));
            case "watch":
            case "unwatch": // Fuzzy.java is compiled for 3.x only
                return Class.forName("Fuzzy").getMethod(r.get("do").asText(), NamingService.class, String.class, String.class)
                    .invoke(null, c, service, group);
            case "services": {
                ListView<String> found = c.getServicesOfServer(r.get("page").asInt(), r.get("size").asInt(), group);
                return Arrays.asList(found.getCount(), found.getData());
            }
            case "subscribe":
                LISTENERS.putIfAbsent(service, event -> {
                    try {
                        Lines.say(Map.of("push", service, "hosts", hosts(((NamingEvent) event).getInstances())));
                    } catch (Exception e) {
                        e.printStackTrace();
                    }
                });
                c.subscribe(service, group, clusters(r), LISTENERS.get(service));
                return null;
            case "unsubscribe":
                c.unsubscribe(service, group, clusters(r), LISTENERS.get(service));
                return null;
            case "status":
                return c.getServerStatus();
            case "close":
                c.shutDown();
                return null;
            default:
                throw new IllegalArgumentException(r.toString());
        }
    }

    public static void main(String[] args) throws Exception {
        Lines.keepIn(args[2]);
        Properties p = new Properties();
        p.put(PropertyKeyConst.NAMESPACE, args[1]);
        String endpoint = System.getenv("ENDPOINT");
        if (endpoint != null) {
            p.put(PropertyKeyConst.ENDPOINT, endpoint.substring(0, endpoint.lastIndexOf(':')));
            p.put(PropertyKeyConst.ENDPOINT_PORT, endpoint.substring(endpoint.lastIndexOf(':') + 1));
        } else {
            p.put(PropertyKeyConst.SERVER_ADDR, args[0]);
        }
        if (System.getenv("NACOS_USER") != null) {
            p.put(PropertyKeyConst.USERNAME, System.getenv("NACOS_USER"));
            p.put(PropertyKeyConst.PASSWORD, "secret");
        }
        NamingService c = NacosFactory.createNamingService(p);
        Configuration configuration = new Configuration(p);
        Lines.serve(r -> configuration.knows(r) ? configuration.run(r) : run(c, r));
    }
}
