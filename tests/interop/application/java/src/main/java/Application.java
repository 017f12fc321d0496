// An application with one address, a user name and a password for everything, by nacos-client of any generation, behind JSON
// lines: see test_application.py. ENDPOINT of the environment, host:port, stands for the list of servers.
import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.AbstractListener;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

public class Application {
    static final ObjectMapper JSON = new ObjectMapper();
    static final PrintStream OUT = System.out;
    static Properties properties;
    static NamingService naming;
    static ConfigService config;

    static synchronized void say(Map<String, Object> what) throws Exception {
        OUT.println(JSON.writeValueAsString(what));
        OUT.flush();
    }

    static ConfigService config() throws Exception {
        if (config == null) {
            config = NacosFactory.createConfigService(properties);
        }
        return config;
    }

    static Object run(JsonNode r) throws Exception {
        String name = r.path("name").asText(), group = "DEFAULT_GROUP";
        switch (r.get("do").asText()) {
            case "register":
                naming.registerInstance(name, r.get("ip").asText(), r.get("port").asInt());
                return null;
            case "list": {
                List<String> found = new ArrayList<>();
                for (Instance i : naming.getAllInstances(name, false)) {
                    found.add(i.getIp() + ":" + i.getPort());
                }
                return found;
            }
            case "status":
                return naming.getServerStatus();
            case "get":
                return config().getConfig(name, group, 5000);
            case "publish":
                return config().publishConfig(name, group, "a=b");
            case "remove":
                return config().removeConfig(name, group);
            case "listen":
                config().addListener(name, group, new AbstractListener() {
                    public void receiveConfigInfo(String text) {
                        System.err.println("heard " + text);
                    }
                });
                return null;
            default:
                throw new IllegalArgumentException(r.toString());
        }
    }

    public static void main(String[] args) throws Exception {
        System.setOut(System.err); // what libraries print
        System.setProperty("user.home", args[2]);
        System.setProperty("JM.LOG.PATH", args[2]);
        System.setProperty("JM.SNAPSHOT.PATH", args[2]);
        properties = new Properties();
        String endpoint = System.getenv("ENDPOINT");
        if (endpoint != null) {
            properties.put(PropertyKeyConst.ENDPOINT, endpoint.substring(0, endpoint.lastIndexOf(':')));
            properties.put(PropertyKeyConst.ENDPOINT_PORT, endpoint.substring(endpoint.lastIndexOf(':') + 1));
        } else {
            properties.put(PropertyKeyConst.SERVER_ADDR, args[0]);
        }
        properties.put(PropertyKeyConst.USERNAME, "nacos");
        properties.put(PropertyKeyConst.PASSWORD, "secret");
        naming = NacosFactory.createNamingService(properties);
        say(new HashMap<>(Map.of("ready", true)));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            JsonNode r = JSON.readTree(line);
            Map<String, Object> answer = new HashMap<>();
            answer.put("id", r.get("id").asInt());
            try {
                answer.put("value", run(r));
                answer.put("ok", true);
            } catch (Exception e) {
                answer.put("ok", false);
                answer.put("error", String.valueOf(e));
            }
            say(answer);
        }
        System.exit(0);
    }
}
