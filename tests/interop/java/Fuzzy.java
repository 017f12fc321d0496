// Services watched by a pattern of names: nacos-client 3.x only.
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.AbstractFuzzyWatchEventWatcher;
import com.alibaba.nacos.api.naming.listener.FuzzyWatchChangeEvent;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

public class Fuzzy {
    static final AbstractFuzzyWatchEventWatcher WATCHER = new AbstractFuzzyWatchEventWatcher() {
        @Override
        public void onEvent(FuzzyWatchChangeEvent event) {
            try {
                Lines.say(Map.of("watch", event.getGroupName() + "@@" + event.getServiceName(), "change", event.getChangeType()));
            } catch (Exception e) {
                e.printStackTrace();
            }
        }
    };

    // The names that match, once the server has told them all.
    public static Object watch(NamingService c, String name, String group) throws Exception {
        List<String> keys = c.fuzzyWatchWithServiceKeys(name, group, WATCHER).get(20, TimeUnit.SECONDS).getData();
        return keys.stream().sorted().toList();
    }

    public static Object unwatch(NamingService c, String name, String group) throws Exception {
        c.cancelFuzzyWatch(name, group, WATCHER);
        return null;
    }
}
