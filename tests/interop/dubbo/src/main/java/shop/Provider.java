package shop;

import calls.Calls;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/** A service as users write it: it answers its own name. Its settings come from dubbo.properties. */
public class Provider {
    public static void main(String[] arguments) {
        ServiceConfig<Orders> service = new ServiceConfig<>();
        service.setInterface(Orders.class);
        service.setRef(() -> arguments[0]);
        DubboBootstrap.getInstance().service(service).start();
        Calls.say("{\"ready\": true}");
        DubboBootstrap.getInstance().await();
    }
}
