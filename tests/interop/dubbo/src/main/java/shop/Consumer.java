package shop;

import calls.Calls;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/** A consumer as users write it; the application that provides the interface is named, where there is no
 *  configuration service to look it up in. */
public class Consumer {
    public static void main(String[] arguments) throws Exception {
        ReferenceConfig<Orders> reference = new ReferenceConfig<>();
        reference.setInterface(Orders.class);
        if (arguments.length > 0)
            reference.setProvidedBy(arguments[0]);
        DubboBootstrap.getInstance().reference(reference).start();
        Orders orders = reference.get();
        Calls.run(orders::who, new ThreadLocal<>());
    }
}
