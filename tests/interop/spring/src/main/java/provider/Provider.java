package provider;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** A service as users write it: it answers its own name. */
@SpringBootApplication
@RestController
public class Provider {
    @Value("${who}")
    private String who;

    @GetMapping("/who")
    public String who() {
        return who;
    }

    public static void main(String[] arguments) {
        var context = (ServletWebServerApplicationContext) SpringApplication.run(Provider.class, arguments);
        System.out.println("\n{\"ready\": true, \"port\": " + context.getWebServer().getPort() + "}");
    }
}
