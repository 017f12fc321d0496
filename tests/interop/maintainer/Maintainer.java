// nacos-maintainer-client behind JSON lines, {"id": 1, "do": METHOD, "args": [...]}: see conftest.py.
import com.alibaba.nacos.api.naming.pojo.healthcheck.HealthCheckerFactory;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerFactory;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerService;
import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.util.Properties;

public class Maintainer {
    static Object value(JsonNode given, Type type) throws Exception {
        if (type == String.class && !given.isNull() && !given.isTextual()) {
            throw new IllegalArgumentException("no text");
        }
        if (type.getTypeName().endsWith("AbstractHealthChecker")) {
            return HealthCheckerFactory.deserialize(given.toString());
        }
        return Lines.JSON.readValue(given.toString(), Lines.JSON.constructType(type));
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
        Lines.keepIn(args[2]);
        Properties p = new Properties();
        p.put("serverAddr", args[0]);
        p.put("username", "nacos");
        p.put("password", "nacos");
        NamingMaintainerService c = NamingMaintainerFactory.createNamingMaintainerService(p);
        Lines.serve(r -> run(c, r));
    }
}
