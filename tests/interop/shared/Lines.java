// What every driver in Java does beside its SDK: a request is a line of JSON, and so is an answer (conftest.py).
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.HashMap;
import java.util.Map;

public class Lines {
    public interface Run {
        Object run(JsonNode request) throws Exception;
    }

    static final ObjectMapper JSON = new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
        .setSerializationInclusion(JsonInclude.Include.NON_NULL);
    static final PrintStream OUT = System.out;

    // Before anything of the SDK is touched: what libraries print and keep goes elsewhere.
    static void keepIn(String dir) {
        System.setOut(System.err);
        for (String where : new String[] {"user.home", "JM.LOG.PATH", "JM.SNAPSHOT.PATH"}) {
            System.setProperty(where, dir);
        }
    }

    static synchronized void say(Map<String, Object> what) throws Exception {
        OUT.println(JSON.writeValueAsString(what));
        OUT.flush();
    }

    // Answers until standard input ends.
    static void serve(Run run) throws Exception {
        say(Map.of("ready", true));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            JsonNode r = JSON.readTree(line);
            Map<String, Object> answer = new HashMap<>();
            answer.put("id", r.get("id").asInt());
            try {
                answer.put("value", run.run(r));
                answer.put("ok", true);
            } catch (Exception e) {
                answer.put("ok", false);
                answer.put("error", String.valueOf(e instanceof InvocationTargetException ? e.getCause() : e));
            }
            say(answer);
            if (r.get("do").asText().equals("close")) {
                break;
            }
        }
        System.exit(0);
    }
}
