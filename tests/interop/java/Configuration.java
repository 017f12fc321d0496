// What an application asks of the configuration service with nacos-client: see test_application.py.
import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.AbstractListener;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.Properties;
import java.util.Set;

public class Configuration {
    static final String GROUP = "DEFAULT_GROUP";
    final Properties properties;
    ConfigService service; // from the first question on

    Configuration(Properties properties) {
        this.properties = properties;
    }

    boolean knows(JsonNode r) {
        return Set.of("get", "publish", "remove", "listen").contains(r.get("do").asText());
    }

    Object run(JsonNode r) throws Exception {
        if (service == null) {
            service = NacosFactory.createConfigService(properties);
        }
        String name = r.get("name").asText();
        switch (r.get("do").asText()) {
            case "get":
                return service.getConfig(name, GROUP, 5000);
            case "publish":
                return service.publishConfig(name, GROUP, "a=b");
            case "remove":
                return service.removeConfig(name, GROUP);
            default:
                service.addListener(name, GROUP, new AbstractListener() {
                    public void receiveConfigInfo(String text) {
                        System.err.println("heard " + text);
                    }
                });
                return null;
        }
    }
}
