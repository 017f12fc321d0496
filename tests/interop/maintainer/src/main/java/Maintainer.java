// nacos-maintainer-client behind JSON lines, {"id": 1, "do": METHOD, "args": [...]}: see conftest.py.
import com.alibaba.nacos.api.naming.pojo.healthcheck.HealthCheckerFactory;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerFactory;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerService;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

public class Maintainer {
    static final ObjectMapper JSON = new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
        .setSerializationInclusion(JsonInclude.Include.NON_NULL);
    static final PrintStream OUT = System.out;

    static void say(Map<String, Object> what) throws Exception {
        OUT.println(JSON.writeValueAsString(what));
        OUT.flush();
    }

    static Object value(JsonNode given, Type type) throws Exception {
        if (type == String.class && !given.isNull() && !given.isTextual()) {
            throw new IllegalArgumentException("no text");
        }
        if (type.getTypeName().endsWith("AbstractHealthChecker")) {
            return HealthCheckerFactory.deserialize(given.toString());
        }
        return JSON.readValue(given.toString(), JSON.constructType(type));
    }

    // null: these arguments are not that method's
    static Object[] arguments(Method m, JsonNode given) {
        Object[] to = new Object[given.size()];
        try {
            for (int i = 0; i < to.length; i++) {
                to[i] = value(given.get(i), m.getGenericParameterTypes()[i]);
            }
            return to;
        } catch (Exception e) {
            return null;
        }
    }

    static Object run(NamingMaintainerService c, JsonNode r) throws Exception {
        for (Method m : NamingMaintainerService.class.getMethods()) {
            if (m.getName().equals(r.get("do").asText()) && m.getParameterCount() == r.path("args").size()) {
                Object[] arguments = arguments(m, r.path("args"));
                if (arguments != null) {
                    return m.invoke(c, arguments);
                }
            }
        }
        throw new IllegalArgumentException("no such method: " + r);
    }

    public static void main(String[] args) throws Exception {
        System.setOut(System.err); // what libraries print
        System.setProperty("user.home", args[2]);
        Properties p = new Properties();
        p.put("serverAddr", args[0]);
        p.put("username", "nacos");
        p.put("password", "nacos");
        NamingMaintainerService c = NamingMaintainerFactory.createNamingMaintainerService(p);
        say(new HashMap<>(Map.of("ready", true)));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            JsonNode r = JSON.readTree(line);
            Map<String, Object> answer = new HashMap<>();
            answer.put("id", r.get("id").asInt());
            try {
                answer.put("value", run(c, r));
                answer.put("ok", true);
            } catch (Exception e) {
                Throwable cause = e instanceof InvocationTargetException ? e.getCause() : e;
                answer.put("ok", false);
                answer.put("error", String.valueOf(cause));
            }
            say(answer);
        }
        System.exit(0);
    }
}
