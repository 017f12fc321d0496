package consumer;

import calls.Calls;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.client.loadbalancer.LoadBalanced;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.web.client.RestTemplate;

/** A consumer as users write it: a load-balanced RestTemplate that calls http://orders. */
@SpringBootApplication
public class Consumer {
    private static final ThreadLocal<String> address = new ThreadLocal<>();

    @Bean
    @LoadBalanced
    RestTemplate rest() {
        var sockets = new SimpleClientHttpRequestFactory();
        sockets.setConnectTimeout(10_000);
        sockets.setReadTimeout(10_000);
        return new RestTemplate((uri, method) -> {
            address.set(uri.getAuthority());
            return sockets.createRequest(uri, method);
        });
    }

    public static void main(String[] arguments) throws Exception {
        var context = SpringApplication.run(Consumer.class, arguments);
        RestTemplate rest = context.getBean(RestTemplate.class);
        System.out.println("\n{\"port\": " + context.getEnvironment().getProperty("local.server.port") + "}");
        Calls.run(() -> rest.getForObject("http://orders/who", String.class), address);
    }
}
