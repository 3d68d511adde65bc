package dev.curfew.benchmarks;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;
import javax.imageio.ImageIO;

/** Bars, each with its name and its figure, drawn for a light page and for a dark one, and in letters for a phone. */
final class Chart {
    private static final int WIDTH = 800;
    private static final int LINE = 40;
    private static final int GAP = 14;
    private static final Map<String, List<Color>> THEMES = Map.of(
            "light", List.of(new Color(0xFFFFFF), new Color(0x1F2328)),
            "dark", List.of(new Color(0x0D1117), new Color(0xE6EDF3)));

    private Chart() {}

    /** A bar of so many nanoseconds; the group is written above its first one. */
    record Bar(String group, String name, double nanos) {}

    static void draw(Path folder, String name, List<Bar> bars) throws IOException {
        int groups = (int) bars.stream().map(Bar::group).distinct().count();
        int height = bars.size() * LINE + groups * (LINE + GAP) + GAP;
        Files.createDirectories(folder);
        for (var theme : THEMES.entrySet()) {
            var image = new BufferedImage(WIDTH, height, BufferedImage.TYPE_INT_RGB);
            Graphics2D canvas = image.createGraphics();
            canvas.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
            canvas.setColor(theme.getValue().get(0));
            canvas.fillRect(0, 0, WIDTH, height);
            draw(canvas, bars, theme.getValue().get(1));
            canvas.dispose();
            Path file = folder.resolve(name + "-" + theme.getKey() + ".png");
            ImageIO.write(image, "png", file.toFile());
        }
    }

    private static void draw(Graphics2D canvas, List<Bar> bars, Color text) {
        var plain = new Font(Font.SANS_SERIF, Font.PLAIN, 24);
        FontMetrics letters = canvas.getFontMetrics(plain);
        int names = widest(bars, bar -> letters.stringWidth(bar.name));
        int figures = widest(bars, bar -> letters.stringWidth(Figures.time(bar.nanos)));
        int room = WIDTH - names - figures - 4 * GAP;
        double longest = bars.stream().mapToDouble(Bar::nanos).max().orElse(1);
        String group = "";
        int y = 0;
        for (Bar bar : bars) {
            if (!bar.group.equals(group)) {
                group = bar.group;
                y += LINE + GAP;
                canvas.setColor(text);
                canvas.setFont(plain.deriveFont(Font.BOLD));
                canvas.drawString(group, GAP, y - GAP);
                canvas.setFont(plain);
            }
            int length = Math.max(2, (int) Math.round(room * bar.nanos / longest));
            canvas.setColor(color(bar.name));
            canvas.fillRect(names + 2 * GAP, y, length, LINE - 8);
            canvas.setColor(text);
            y += LINE;
            canvas.drawString(bar.name, GAP, y - GAP);
            canvas.drawString(Figures.time(bar.nanos), names + length + 3 * GAP, y - GAP);
        }
    }

    private static Color color(String name) {
        return switch (name) {
            case "bare client", "idle" -> new Color(0x8C959F);
            case "Curfew", "meanwhile" -> new Color(0x4C8DD6);
            default -> new Color(0xE69F00);
        };
    }

    private static int widest(List<Bar> bars, ToIntFunction<Bar> width) {
        return bars.stream().mapToInt(width).max().orElse(0);
    }
}
