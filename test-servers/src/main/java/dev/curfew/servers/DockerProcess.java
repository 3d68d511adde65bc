package dev.curfew.servers;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.model.ExposedPort;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.PortBinding;
import com.github.dockerjava.api.model.Ports;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.postgresql.PostgreSQLContainer;
import org.testcontainers.utility.DockerImageName;

/** A server in a container. */
final class DockerProcess implements ServerProcess {
    private final GenericContainer<?> container;
    // Bound to one port, so that it has the same after a restart.
    private final int port;

    private DockerProcess(GenericContainer<?> container, int inside) {
        this(container, inside, ServerFolder.freePort());
    }

    private DockerProcess(GenericContainer<?> container, int inside, int port) {
        this.container = container;
        this.port = port;
        container.withExposedPorts(inside).withCreateContainerCmdModifier(create -> {
            HostConfig host = create.getHostConfig() == null ? new HostConfig() : create.getHostConfig();
            create.withHostConfig(
                    host.withPortBindings(new PortBinding(Ports.Binding.bindPort(port), ExposedPort.tcp(inside))));
        });
    }

    static DockerProcess postgres(String version, Map<String, String> settings) {
        List<String> command = new ArrayList<>(List.of("postgres"));
        settings.forEach((name, value) -> command.addAll(List.of("-c", name + "=" + value)));
        var container = new PostgreSQLContainer("postgres:" + version)
                .withUsername("postgres")
                .withPassword("postgres")
                .withDatabaseName("postgres");
        container.setCommand(command.toArray(String[]::new));
        return new DockerProcess(container, 5432);
    }

    static DockerProcess redis(String version, Map<String, String> settings) {
        List<String> command = new ArrayList<>(List.of("redis-server"));
        settings.forEach((name, value) -> command.addAll(List.of("--" + name, value)));
        return new DockerProcess(
                new GenericContainer<>(DockerImageName.parse("redis:" + version))
                        .withCommand(command.toArray(String[]::new)),
                6379);
    }

    /** A member of a replica set that has yet to be initiated; its port is the same inside, where it calls itself by it. */
    static DockerProcess mongo(String version, String replicaSet) {
        int port = ServerFolder.freePort();
        return new DockerProcess(
                new GenericContainer<>(DockerImageName.parse("mongo:" + version))
                        .withCommand("--replSet", replicaSet, "--port", Integer.toString(port), "--bind_ip_all"),
                port,
                port);
    }

    /** Whether Docker answers; asks only where there is something to ask, since asking is slow and loud. */
    static boolean isAvailable() {
        boolean configured = System.getenv("DOCKER_HOST") != null || Files.exists(Path.of("/var/run/docker.sock"));
        return configured && DockerClientFactory.instance().isDockerAvailable();
    }

    private DockerClient docker() {
        return container.getDockerClient();
    }

    @Override
    public void start() {
        if (container.getContainerId() == null) {
            container.start();
        } else {
            docker().startContainerCmd(container.getContainerId()).exec();
        }
    }

    @Override
    public void kill() {
        docker().killContainerCmd(container.getContainerId()).withSignal("KILL").exec();
    }

    @Override
    public void pause() {
        docker().pauseContainerCmd(container.getContainerId()).exec();
    }

    @Override
    public void resume() {
        docker().unpauseContainerCmd(container.getContainerId()).exec();
    }

    @Override
    public int port() {
        return port;
    }

    @Override
    public String kind() {
        return "in Docker";
    }

    @Override
    public void close() {
        container.stop();
    }
}
