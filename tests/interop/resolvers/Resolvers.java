import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Hashtable;
import java.util.List;
import javax.naming.NamingEnumeration;
import javax.naming.NamingException;
import javax.naming.directory.Attribute;
import javax.naming.directory.InitialDirContext;

/** What Java has for each name of a line of standard input, and for each line one of standard output: InetAddress for "host NAME",
 * JNDI's DNS provider for "A NAME" and "SRV NAME". One process for all: it is its caches that have to follow. */
public class Resolvers {
    static String host(String name) {
        try {
            List<String> found = new ArrayList<>();
            for (InetAddress address : InetAddress.getAllByName(name))
                found.add(address.getHostAddress());
            return String.join(",", found);
        } catch (UnknownHostException e) {
            return "error";
        }
    }

    static String record(String type, String name) {
        Hashtable<String, String> settings = new Hashtable<>();
        settings.put("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory");
        settings.put("java.naming.provider.url", "dns://127.0.0.1:5300");
        try {
            Attribute found = new InitialDirContext(settings).getAttributes(name, new String[] {type}).get(type);
            List<String> parts = new ArrayList<>();
            if (found != null)
                for (NamingEnumeration<?> all = found.getAll(); all.hasMore();)
                    parts.add(all.next().toString().replaceAll("[.]$", ""));
            return String.join(",", parts);
        } catch (NamingException e) {
            return "error";
        }
    }

    public static void main(String[] arguments) throws Exception {
        java.io.BufferedReader lines = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null;) {
            String[] words = line.split(" ");
            System.out.println(words[0].equals("host") ? host(words[1]) : record(words[0], words[1]));
            System.out.flush();
        }
    }
}
