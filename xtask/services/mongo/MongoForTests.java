import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Serves the MongoDB wire protocol from memory, on the loopback port given as the only argument. */
public final class MongoForTests {
    /**
     * What it says of itself. The library's own versions end at a wire version that current drivers refuse to talk to; the
     * commands it knows are the same under this one.
     */
    private static final class Current implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(5, 0, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 13;
        }
    }

    public static void main(String[] arguments) {
        MemoryBackend documents = new MemoryBackend();
        documents.version(new Current());
        MongoServer server = new MongoServer(documents);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    }
}
