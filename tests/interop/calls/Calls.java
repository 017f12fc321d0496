package calls;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** Calls a provider 100 times a second, where the machine allows it, for as long as this process lives, and says of each call that failed why.
 *  A line on standard input ("counts 7") is answered with a line of JSON: how many calls were begun, how many each
 *  provider answered and how many failed. A failed call is a line of its own, as soon as it failed. */
public class Calls {
    /** One call: the name of the provider that answered. */
    public interface Call {
        String run() throws Exception;
    }

    private static final int AT_ONCE = 16;
    private static final PrintStream out = System.out;
    private final Map<String, Long> answered = new TreeMap<>();
    private long begun, failed;

    /** Calls until standard input ends. @address tells, in the thread of a call, whom it was sent to ("" when nobody). */
    public static void run(Call call, ThreadLocal<String> address) throws Exception {
        Calls calls = new Calls();
        ScheduledExecutorService clock = Executors.newScheduledThreadPool(1);
        ExecutorService workers = Executors.newCachedThreadPool();
        say("{\"ready\": true}");
        // What a busy machine missed is not made up for, and calls do not pile up: that would keep it busy.
        Semaphore free = new Semaphore(AT_ONCE);
        clock.scheduleWithFixedDelay(() -> {
            if (free.tryAcquire())
                workers.execute(() -> {
                    calls.one(call, address);
                    free.release();
                });
        }, 0, 10, TimeUnit.MILLISECONDS);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;)
            calls.tell(Integer.parseInt(line.substring("counts ".length())));
        System.exit(0);
    }

    private void one(Call call, ThreadLocal<String> address) {
        synchronized (this) {
            begun++;
        }
        long started = System.nanoTime();
        address.set("");
        try {
            String who = call.run();
            synchronized (this) {
                answered.merge(who, 1L, Long::sum);
            }
        } catch (Throwable e) {
            synchronized (this) {
                failed++;
            }
            StringBuilder why = new StringBuilder();
            for (Throwable t = e; t != null && why.length() < 1000; t = t.getCause())
                why.append(t.getClass().getSimpleName()).append(": ").append(t.getMessage()).append("; ");
            long ms = (System.nanoTime() - started) / 1_000_000;
            say("{\"failed\": " + quoted(why.toString()) + ", \"to\": " + quoted(address.get()) + ", \"ms\": " + ms + "}");
        }
    }

    private synchronized void tell(int id) {
        StringBuilder text = new StringBuilder();
        answered.forEach((who, times) -> text.append(text.length() == 0 ? "" : ", ").append(quoted(who)).append(": ").append(times));
        say("{\"id\": " + id + ", \"begun\": " + begun + ", \"failed\": " + failed + ", \"answered\": {" + text + "}}");
    }

    /** One line of JSON, whole. */
    public static void say(String line) {
        synchronized (out) {
            out.println("\n" + line);
            out.flush();
        }
    }

    private static String quoted(String text) {
        StringBuilder s = new StringBuilder("\"");
        for (char c : text.toCharArray())
            if (c == '"' || c == '\\')
                s.append('\\').append(c);
            else
                s.append(c < ' ' ? ' ' : c);
        return s.append('"').toString();
    }
}
